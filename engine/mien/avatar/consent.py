"""Where consent records come from: the person at the keyboard, or a document that the person signed."""

from __future__ import annotations

import datetime
import getpass
import re
from pathlib import Path

from mien.avatar.package import Consent
from mien.errors import ConsentError

SELF_STATEMENT = "I am the person in this picture, and I agree to its being animated with mien."
"""What `--consent self` and the tick on the page stand for."""

MAX_DOCUMENT_BYTES = 64 * 1024

_NAME = re.compile(r"^\s*(?:name|signed(?: by)?)\s*:\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_DATE = re.compile(r"^\s*date\s*:\s*(\d{4}-\d{2}-\d{2})\b", re.IGNORECASE | re.MULTILINE)


def read_consent(argument: str) -> Consent:
    """What `--consent` was given: `self`, or the path of a text document.

    Raises `ConsentError`.
    """
    return consent_of_self() if argument == "self" else consent_from_document(Path(argument))


def consent_of_self(statement: str = SELF_STATEMENT, holder: str = "") -> Consent:
    """The person in the picture agrees, now. holder: their name; the login name when empty."""
    return Consent(statement.strip(), holder.strip() or _login(), "self", _today())


def consent_from_document(path: Path) -> Consent:
    """A copy of the statement in a text file (UTF-8, at most 64 KB).

    Lines like `Name: Ada Lovelace` and `Date: 2025-01-31` are understood; without them the record names
    the file and today. Raises `ConsentError` when the file is missing, empty, too long or not text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise ConsentError(
            f"The consent document {path} cannot be read: {error.strerror or error}. "
            "Give --consent self, or the path of a text file that the person agreed to."
        ) from None
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ConsentError(f"The consent document {path} is longer than 64 KB. Give the statement alone.")
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ConsentError(f"The consent document {path} is not text. Save the statement as UTF-8.") from None
    if not text or "\0" in text:
        raise ConsentError(f"The consent document {path} is empty. Write down who agrees, and to what.")
    name, date = _NAME.search(text), _DATE.search(text)
    holder = name[1][:200] if name else f"the person named in {path.name}"
    try:
        return Consent(text, holder, "document", date[1] if date else _today())
    except ConsentError as error:
        raise ConsentError(f"The consent document {path}: {error}") from None


def _today() -> str:
    return datetime.datetime.now().astimezone().date().isoformat()


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no login name: a container, Windows without USERNAME
        return "the maker of this avatar"
