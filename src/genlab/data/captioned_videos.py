"""Clips with captions of one's own: what a model is asked for is said in words.

Read: `CaptionedVideos`, which is `Videos` with a caption for each clip (captioned.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from genlab.data.captioned import Captioned
from genlab.data.sources.videos import CaptionedClips
from genlab.data.tokenizers import Tokenizer
from genlab.data.videos import Short, VideoExamples, Videos


class CaptionedVideos(Captioned, Videos):
    """Clips of a folder with their captions."""

    noun = "captioned clips"

    def __init__(
        self,
        *,
        source: CaptionedClips,
        tokenizer: Tokenizer,
        shape: Sequence[int],
        batch_size: int,
        seed: int,
        caption_vocab: int | None = None,
        caption_length: int | None = None,
        num_classes: int | None = None,
        stride: int = 1,
        fps: float | None = None,
        short: Short = "hold",
        play: float = 8.0,
        num_workers: int = 0,
        limit: int | None = None,
        levels: int | None = None,
        vocab: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """As `Videos` and `CaptionedPictures`."""
        super().__init__(
            source=source,
            shape=shape,
            num_classes=None,
            batch_size=batch_size,
            seed=seed,
            stride=stride,
            fps=fps,
            short=short,
            play=play,
            num_workers=num_workers,
            limit=limit,
            levels=levels,
            vocab=vocab,
            std=std,
            val_examples=val_examples,
        )
        self._captioned(tokenizer, caption_vocab, caption_length, num_classes)

    def kept(self, examples: VideoExamples) -> Sequence[int]:
        """Files that could not be read are left out, and so are their captions."""
        films = examples.films
        return range(len(films)) if films.kept is None else films.kept
