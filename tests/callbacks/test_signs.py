"""What signs measure of a look and how they judge, by numbers whose answer is known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from genlab.callbacks.signs.base import Past, Shown, held_out, labels
from genlab.callbacks.signs.dead_codes import DeadCodes
from genlab.callbacks.signs.discriminator import Overpowered
from genlab.callbacks.signs.mode_collapse import ModeCollapse, clusters, spread_ratio
from genlab.callbacks.signs.overfitting import Overfitting
from genlab.callbacks.signs.posterior import PosteriorCollapse
from genlab.callbacks.signs.repetition import Repetition, as_tokens, ends, loops


def past_of(*rows: dict, over: bool = False, settings: dict | None = None) -> Past:
    past = Past(settings or {})
    for row in rows:
        past.add(row)
    past.over = over
    return past


def look(examples: int, signs: dict | None = None, **values: float) -> list[dict]:
    """A look's rows: its figures (val_loss is val/loss), and what signs measured."""
    named = {k.replace("_", "/", 1): v for k, v in values.items()}
    rows = [{"kind": "look", "examples": examples, "batches": 50 * examples, **named}]
    measured = {f"signs/{k}": v for k, v in (signs or {}).items()}
    return [*rows, {"kind": "signs", "examples": examples, **measured}] if measured else rows


def train(*losses: float, **more: float) -> list[dict]:
    more = {f"train/{k}": v for k, v in more.items()}
    return [{"kind": "train", "train/loss": loss, **more} for loss in losses]


# --- the ledger so far ----------------------------------------------------------------------------


def test_a_look_has_what_was_measured_and_the_training_loss_since_the_one_before() -> None:
    past = past_of(
        *look(0, val_loss=9.0), *train(4.0, 6.0), *look(10, {"spread": 0.5}, val_loss=3.0),
        *train(1.0, math.nan), *look(20, val_loss=2.0),
    )  # fmt: skip
    assert past.terms == {"loss"} and [k["val/loss"] for k in past.trained] == [3.0, 2.0]
    first, second = past.trained
    assert first["signs/spread"] == 0.5 and "signs/spread" not in second
    assert (first["since/loss"], second["since/loss"]) == (5.0, 1.0)
    assert first["since/error"] == pytest.approx(1.0)  # of two rows whose deviation is sqrt(2)


def test_what_is_bad_once_is_told_only_at_the_end() -> None:
    def bad(k: dict) -> bool:
        return k["val/loss"] > 5

    rows = [*look(0, val_loss=9.0), *look(10, val_loss=9.0)]
    assert not past_of(*rows).lasts(bad)  # the baseline is no look of a trained model
    assert past_of(*rows, over=True).lasts(bad)
    assert past_of(*rows, *look(20, val_loss=9.0)).lasts(bad)
    assert not past_of(*rows, *look(20, val_loss=1.0), over=True).lasts(bad)
    assert not past_of(*rows, *look(20, val_loss=1.0), *look(30, val_loss=9.0)).lasts(bad)


def test_held_out_examples_are_in_no_order_and_not_too_many() -> None:
    class Val:
        def __len__(self) -> int:
            return 1000

        def batch(self, ids, draws):
            return {"x": ids}

    few = held_out(SimpleNamespace(val=Val(), shape=(2**18,)))["x"]
    assert len(few.unique()) == 64 and few.diff().min() < 0
    assert len(held_out(SimpleNamespace(val=Val(), shape=(2,)))["x"]) == 512
    assert labels(torch.tensor([1, 2])).tolist() == [1, 2]
    assert labels(torch.ones(2)) is None and labels({"a": torch.ones(2)}) is None


# --- mode collapse --------------------------------------------------------------------------------

GAN = {"loss_discriminator", "loss_generator", "logit_real", "logit_fake", "loss"}


def blobs(modes: int, num: int, std: float = 0.05) -> torch.Tensor:
    """Points around the first corners of an octagon, in turn."""
    angle = torch.arange(num) % modes * (2 * math.pi / 8)
    noise = std * torch.randn(num, 2, generator=torch.Generator().manual_seed(1))
    return torch.stack([angle.cos(), angle.sin()], 1) + noise


def shown(samples, real, cond=None, is_of=None, **data) -> Shown:
    batch = {"x": real} | ({} if is_of is None else {"cond": is_of})
    data = SimpleNamespace(coordinates=lambda x: x, **data)
    return Shown(SimpleNamespace(), data, batch, samples, cond)


def test_modes_are_those_of_the_law_or_the_classes_or_clusters() -> None:
    sign, real, two = ModeCollapse(), blobs(8, 512), blobs(2, 64)
    corners = blobs(8, 8, std=0.0)
    for one in (
        shown(two, real, modes=corners), shown(two, real, is_of=torch.arange(512) % 8),
    ):  # fmt: skip
        found = sign.measure(one)
        assert (found["modes"], found["modes_real"], found["near"]) == (2, 8, 1)
    found = sign.measure(shown(two, real))
    assert found["modes"] <= 4 and found["modes_real"] >= 12  # of 16 clusters
    healthy = sign.measure(shown(blobs(8, 64), real))
    assert healthy["modes"] >= 12 and healthy["spread"] == pytest.approx(1, abs=0.05)
    assert len(clusters(corners, 16).unique()) == 8  # no more than there are points
    assert sign.measure(shown(two[:8], real)) == {}
    assert sign.measure(shown(two * math.nan, real)) == {}


def test_the_spread_within_classes_shows_a_class_that_is_always_the_same() -> None:
    classes = torch.arange(64) % 8
    real = blobs(8, 512)
    same = blobs(8, 64, std=1e-4)
    assert spread_ratio(same, real, classes, torch.arange(512) % 8) < 0.01
    assert spread_ratio(same, real, None, None) == pytest.approx(1, abs=0.1)


def test_mode_collapse_is_judged_of_samples_that_are_like_data() -> None:
    sign = ModeCollapse()
    signs = {"samples": 64, "modes": 4, "modes_real": 8, "near": 0.9, "spread": 0.8}

    def told(**changes: float):
        rows = [*look(10, signs | changes, val_loss=1.0), *look(20, signs | changes, val_loss=1.0)]
        settings = {"objective": {"r1_gamma": 0.5}}
        return sign.judge(past_of(*rows, settings=settings))

    assert told().evidence == "64 samples show 4 of the 8 modes that held-out ones show"
    assert told().remedies == ("objective.r1_gamma=5", "objective=wgan_gp")
    assert told(modes=5) is None and told(near=0.4) is None
    assert "0.1 times as far" in told(modes=8, spread=0.1).evidence
    assert told(modes=8, spread=0.16) is None
    assert sign.applies(GAN) and not sign.applies({"loss", "kl"})


# --- the discriminator ----------------------------------------------------------------------------


def test_a_discriminator_wins_where_its_loss_stays_near_0() -> None:
    sign = Overpowered()
    settings = {"model": {"optim_discriminator": {"optimizer": {"lr": 4e-3}}}}

    def told(losses: list[float]):
        rows = [
            row
            for loss in losses
            for row in train(
                5.0, loss_discriminator=loss, loss_generator=9.0, logit_real=6.0, logit_fake=-7.0
            )
        ]
        return sign.judge(past_of(*rows, settings=settings))

    found = told([1.0, *[0.01] * 9, 0.04])
    assert "0.04 at most in the last 10 rows" in found.evidence and "lie 13 apart" in found.evidence
    assert found.remedies == ("model.optim_discriminator.optimizer.lr=0.001",)
    assert told([0.01] * 9) is None and told([*[0.01] * 9, 0.06]) is None
    assert told([-13.0] * 12) is None  # a critic's loss is the negative gap
    assert sign.applies(GAN)


# --- latents --------------------------------------------------------------------------------------


class Codec:
    """Encodes x into its first coordinates; codes are x itself."""

    device = torch.device("cpu")
    latent_vocab = 100
    conditions = SimpleNamespace(of=lambda batch: None)

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def encode(self, x, cond=None):
        return self.scale * x


def test_active_units_are_latents_whose_mean_varies() -> None:
    x = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
    x[:, 2:] = x[:, 2:] * 0.09 + 7  # variance 0.008
    found = PosteriorCollapse().measure(Shown(Codec(), None, {"x": x}))
    assert found == {"active_units": 2, "units": 4}
    assert PosteriorCollapse().measure(Shown(SimpleNamespace(), None, {"x": x})) == {}


@pytest.mark.parametrize(
    ("kl", "active", "told"), [(0.05, 3, True), (2.0, 0, True), (0.2, 1, False)]
)
def test_a_posterior_has_collapsed_without_nats_or_active_units(kl, active, told) -> None:
    signs = {"active_units": active, "units": 8}
    rows = [*look(10, signs, val_kl=kl), *look(20, signs, val_kl=kl)]
    found = PosteriorCollapse().judge(past_of(*rows, settings={"objective": {"beta": 4.0}}))
    assert (found is not None) == told
    early = [{**row, "batches": 199} for row in rows]  # of a few batches nothing is told
    assert PosteriorCollapse().judge(past_of(*early)) is None
    if found:
        assert f"{active} of 8 latents are active" in found.evidence
        assert found.remedies == ("objective.beta=1",)
    lower = PosteriorCollapse().judge(past_of(*rows, settings={"objective": {"beta": 1.0}}))
    assert (lower.remedies if lower else ("objective.beta=0.1",)) == ("objective.beta=0.1",)
    assert not PosteriorCollapse().applies({"loss", "reconstruction", "perplexity"})


def test_codes_are_counted_over_held_out_examples() -> None:
    sign = DeadCodes()
    x = torch.arange(400).view(100, 4) % 4
    found = sign.measure(Shown(Codec(1), None, {"x": x}))
    assert (found["codes"], found["codes_used"]) == (100, 4)
    assert found["codes_perplexity"] == pytest.approx(4)
    assert found["codes_possible"] == pytest.approx(100 * (1 - math.exp(-4)))
    settings = {"objective": {"quantiser": {"revive": 0.1, "vocab": 100}}}
    rows = [*look(10, found), *look(20, found)]
    told = sign.judge(past_of(*rows, settings=settings))
    assert "use 4 of 100 codes (98 if all were as likely), perplexity 4" in told.evidence
    assert told.remedies == ("objective.quantiser.revive=0.2", "objective.quantiser.vocab=8")
    assert sign.judge(past_of(*rows)).remedies == ()  # fixed levels: nothing to set
    early = [*look(8, found), *look(9, found)]  # 450 batches: they may yet be moved onto data
    assert sign.judge(past_of(*early, over=True)) is None
    few = found | {"codes_possible": 13.0}  # few positions cannot use many codes
    assert sign.judge(past_of(*look(10, few), *look(20, few))) is None


# --- over-fitting ---------------------------------------------------------------------------------


def told_of(held: list[float], trained: list[float], noise: float = 0.0, **settings):
    rows = look(0, val_loss=held[0])
    for i, (value, loss) in enumerate(zip(held[1:], trained, strict=True), 1):
        rows += [*train(loss - noise, loss + noise), *look(100 * i, val_loss=value)]
    return Overfitting().judge(past_of(*rows, settings=settings))


def test_overfitting_is_a_rise_while_training_falls() -> None:
    rising = [10.0, 5.0, 4.0, 4.5, 5.0]
    found = told_of(rising, [5.0, 4.0, 3.0, 2.0], net={"dropout": 0.0})
    assert "rose from 4 at 200 examples to 5," in found.evidence
    assert "training loss fell from 4 to 2" in found.evidence
    assert found.remedies == (
        "callbacks.checkpoint.best=val/loss", "net.dropout=0.1", "budget.examples=200",
    )  # fmt: skip
    assert told_of(rising, [5.0, 4.0, 4.0, 4.1]) is None  # both rise: no over-fitting
    assert told_of(rising, [5.0, 4.0, 3.9, 3.8], noise=1.0) is None  # a fall within the noise
    assert told_of([10.0, 5.0, 4.0, 4.04, 4.08], [5.0, 4.0, 3.0, 2.0]) is None  # 1 % of the fall
    assert told_of([10.0, 5.0, 4.0, 5.0, 4.5], [5.0, 4.0, 3.0, 2.0]) is None  # it falls again
    assert told_of([10.0, 5.0, 4.0, 4.5], [5.0, 4.0, 3.0]) is None  # once is not enough
    assert not Overfitting().applies(GAN)


# --- repetition -----------------------------------------------------------------------------------


def test_loops_are_found_with_their_period() -> None:
    g = torch.Generator().manual_seed(0)
    free = torch.randint(50, (1, 64), generator=g)
    three = torch.cat([free[:, :20], torch.tensor([[7, 8, 9]]).repeat(1, 20)[:, :44]], 1)
    once = torch.cat([free[:, :32], free[:, :32]], 1)  # a half that comes once more is no loop
    x = torch.cat([free, three, torch.full((1, 64), 5), once])
    assert loops(x).tolist() == [0, 3, 1, 0]
    assert loops(x, torch.tensor([64, 15, 64, 64])).tolist() == [0, 0, 1, 0]  # too short to tell
    almost = three.clone()
    almost[0, 50] = 0
    assert loops(almost).tolist() == [0]  # 2 of 32 tokens do not repeat


def test_what_follows_the_end_is_no_loop() -> None:
    x = torch.randint(1, 50, (4, 40), generator=torch.Generator().manual_seed(0))
    x[0, 18:] = 0
    assert ends(x, 0).tolist() == [18, 40, 40, 40] and ends(x, None) is None
    assert loops(x).tolist()[0] == 1 and loops(x, ends(x, 0)).tolist() == [0] * 4


def test_frames_are_told_apart_as_tokens_are() -> None:
    frames = torch.tensor([[[0, 1], [1, 0], [0, 1]], [[1, 1], [0, 1], [1, 0]]]).float()
    one, two = as_tokens(frames).tolist()
    assert one[0] == one[2] == two[1] and one[1] == two[2] and len({*one, *two}) == 3


def sequences(samples, real, mask=None, *, takes="tokens", stop=None) -> dict[str, float]:
    model = SimpleNamespace(takes=takes, sampler=SimpleNamespace(stop=stop))
    batch = {"x": real} | ({} if mask is None else {"mask": mask})
    return Repetition().measure(Shown(model, None, batch, samples))


def test_repetition_is_judged_beside_held_out_examples() -> None:
    g = torch.Generator().manual_seed(0)
    real, same = torch.randint(9, (16, 32), generator=g), torch.full((16, 32), 3)
    found = sequences(same, real)
    assert found["loops"] == 1 and found["period"] == 1 and found["loops_real"] == 0
    assert found["distinct"] == 1 / 16 and found["distinct_real"] == 1
    assert sequences(same, real, takes="values") == {} == sequences(same[:4], real)
    padded = torch.cat([real[:, :20], torch.zeros(16, 28).long()], 1)
    mask = (torch.arange(48) < 20).expand(16, 48)
    assert sequences(real, padded, mask)["loops_real"] == 0 != sequences(real, padded)["loops_real"]

    def told(settings: dict, **changes: float):
        rows = look(10, found | {"samples": 16} | changes, val_loss=1.0)
        return Repetition().judge(past_of(*rows, over=True, settings=settings))

    sampled = {"sampler": {"temperature": 0.5, "top_k": 3, "top_p": None}}
    evidence = told(sampled).evidence
    assert "16 of 16 samples end in a loop (held-out ones: 0%), of about 1 tokens" in evidence
    assert "1 of 16 samples differ (held-out ones: 100%)" in evidence
    assert told(sampled).remedies == ("sampler.temperature=1.0", "sampler.top_k=null")
    assert told({"sampler": {"length": None}}).remedies == ("sampler=sample",)
    assert told({}, loops=0.3, loops_real=0.1, distinct=0.6) is None
    looping = told({}, loops=0.3, loops_real=0.0, distinct=0.6).evidence
    assert "samples end in a loop" in looping and "differ" not in looping
    alike = told({}, loops=0.0, distinct=0.4).evidence
    assert "samples differ" in alike and "loop" not in alike
