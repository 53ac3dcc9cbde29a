"""Where consent records come from."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from mien.avatar.consent import SELF_STATEMENT, consent_of_self, read_consent
from mien.avatar.package import Consent
from mien.errors import ConsentError

pytestmark = pytest.mark.unit


def today() -> str:
    return datetime.datetime.now().astimezone().date().isoformat()


def test_self() -> None:
    record = read_consent("self")
    assert record.basis == "self"
    assert record.statement == SELF_STATEMENT
    assert record.holder
    assert record.date == today()


def test_self_with_words_of_ones_own() -> None:
    assert consent_of_self(" Yes. ", "Ada") == Consent("Yes.", "Ada", "self", today())


def test_document(tmp_path: Path) -> None:
    text = "I agree to be animated by Charles.\n\nName: Ada Lovelace\nDate: 2025-01-31\n"
    path = tmp_path / "consent.txt"
    path.write_text(text)
    assert read_consent(str(path)) == Consent(text.strip(), "Ada Lovelace", "document", "2025-01-31")


def test_document_without_name_and_date(tmp_path: Path) -> None:
    path = tmp_path / "consent.txt"
    path.write_bytes(b"\xef\xbb\xbfI agree.")
    record = read_consent(str(path))
    assert record.statement == "I agree."
    assert "consent.txt" in record.holder
    assert record.date == today()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"\xff\xd8\xff\xe0 a scan", "is not text"),
        (b"x" * 70_000, "longer than 64 KB"),
        (b"I agree\nDate: 2025-13-45", "2025-13-45"),
    ],
)
def test_documents_that_are_none(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "consent.txt"
    path.write_bytes(data)
    with pytest.raises(ConsentError, match=says) as caught:
        read_consent(str(path))
    assert str(path) in str(caught.value)


def test_a_missing_document_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConsentError, match="--consent self"):
        read_consent(str(tmp_path / "none.txt"))


def test_an_empty_record_cannot_exist() -> None:
    with pytest.raises(ConsentError, match="empty statement"):
        Consent(" ", "Ada", "self", "2025-01-31")
