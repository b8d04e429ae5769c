"""Licences and what a policy allows of them: by their SPDX identifiers and the names people use.

Read: `licence_of`, then `allowed`. What is not listed is unknown, and a policy refuses it: this is
a list of permissions, no legal advice.
"""

from __future__ import annotations

import re

# identifier: (may be used commercially, may be changed, share alike)
LICENCES = {
    "CC0-1.0": (True, True, False), "PDDL-1.0": (True, True, False),
    "PUBLIC-DOMAIN": (True, True, False), "UNLICENSE": (True, True, False),
    "MIT": (True, True, False), "BSD-2-CLAUSE": (True, True, False),
    "BSD-3-CLAUSE": (True, True, False), "APACHE-2.0": (True, True, False),
    "ISC": (True, True, False), "ZLIB": (True, True, False), "PSF-2.0": (True, True, False),
    "CC-BY": (True, True, False), "CC-BY-SA": (True, True, True),
    "CC-BY-ND": (True, False, False), "CC-BY-NC": (False, True, False),
    "CC-BY-NC-SA": (False, True, True), "CC-BY-NC-ND": (False, False, False),
    "ODC-BY": (True, True, False), "ODBL": (True, True, True), "GPL": (True, True, True),
    "LGPL": (True, True, True), "AGPL": (True, True, True), "MPL-2.0": (True, True, True),
    "GFDL": (True, True, True),
}  # fmt: skip
PUBLIC = ("CC0-1.0", "PDDL-1.0", "PUBLIC-DOMAIN", "UNLICENSE")
POLICIES = {
    "open": "whatever may be changed, by anybody for anything but trade perhaps",
    "commercial": "what may be changed and used in trade",
    "permissive": "what may be changed and used in trade, without sharing alike",
    "public_domain": "what nobody has rights in",
}
NAMES = {
    "public domain": "PUBLIC-DOMAIN", "pd": "PUBLIC-DOMAIN", "cc0": "CC0-1.0", "zero": "CC0-1.0",
    "apache": "APACHE-2.0", "apache 2": "APACHE-2.0", "apache license 2": "APACHE-2.0",
    "bsd": "BSD-3-CLAUSE", "python": "PSF-2.0", "expat": "MIT",
}  # fmt: skip
FAMILIES = ("AGPL", "LGPL", "GPL", "GFDL", "ODBL", "ODC-BY")


def licence_of(text: str) -> str | None:
    """The identifier of a licence as people write it ("CC BY-SA 4.0", "gpl-2.0+"), or None."""
    words = re.sub(r"[\s_]+", " ", text.strip().lower())
    words = re.sub(r"^(?:the|license|licence)\s+|\s+(?:license|licence)$", "", words)
    key = words.upper().replace(" ", "-")
    if key in LICENCES:
        return key
    bare = re.sub(r"(?:version|v)?[ .-]*\d+(?:[. ]\d+)*(?:\+|-only|-or-later)?$", "", words)
    bare = bare.strip(" -,+")
    if bare in NAMES or words in NAMES:
        return NAMES.get(words) or NAMES[bare]
    key = re.sub(r"[ -]+", "-", bare).upper()
    key = key.replace("CREATIVE-COMMONS-", "CC-").replace("CCBY", "CC-BY")
    if key in LICENCES:
        return key
    return next((f for f in FAMILIES if key == f or key.startswith(f"{f}-")), None)


def allowed(text: str, policy: str) -> bool | None:
    """Whether a policy allows a licence; None: the licence is not known.

    Of several ("MIT or GPL-2.0") one that is allowed is enough; of "A and B" both must be.
    """
    if " or " in text.lower():
        found = [allowed(part, policy) for part in re.split(r"\s+or\s+", text, flags=re.I)]
        return True if True in found else None if None in found else False
    if " and " in text.lower() or "," in text:
        found = [allowed(p, policy) for p in re.split(r"\s+and\s+|,", text, flags=re.I)]
        return False if False in found else None if None in found else True
    name = licence_of(text)
    if name is None:
        return None
    commercial, changed, alike = LICENCES[name]
    if policy == "public_domain":
        return name in PUBLIC
    return changed and (policy == "open" or (commercial and not (policy == "permissive" and alike)))
