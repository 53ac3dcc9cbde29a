"""From the sounds that synthesisers report to the looks that `mien.drive.speech` knows.

What cannot be seen is left out: tongue body, voicing, nasality, tone.
"""

from __future__ import annotations

from collections.abc import Iterable

from mien.drive.speech import Phoneme
from mien_train.espeak import Sound

_SINGLE = {
    "p": "B", "b": "B", "m": "B", "ɓ": "B", "ɸ": "V", "β": "V",
    "f": "V", "v": "V", "ʋ": "V", "ɱ": "V",
    "θ": "TH", "ð": "TH",
    "t": "D", "d": "D", "n": "D", "l": "D", "ɾ": "D", "r": "D", "ɫ": "D", "ɗ": "D", "ʈ": "D", "ɖ": "D", "ɳ": "D",
    "ɭ": "D", "ʎ": "D", "ɬ": "D", "ɮ": "D",
    "s": "S", "z": "S", "ɕ": "SH", "ʑ": "SH",
    "ʃ": "SH", "ʒ": "SH", "ʂ": "SH", "ʐ": "SH", "ç": "IY",
    "ɹ": "R", "ɻ": "R", "ɚ": "ER", "ɝ": "ER", "ɜ": "ER",
    "w": "W", "ʍ": "W", "ɥ": "W",
    "k": "K", "ɡ": "K", "g": "K", "ŋ": "K", "x": "K", "ɣ": "K", "q": "K", "χ": "K", "ʁ": "K", "ɲ": "K", "c": "K",
    "ɟ": "K", "ʀ": "K", "ħ": "K",
    "h": "HH", "ɦ": "HH",
    "j": "IY", "i": "IY", "ɪ": "IH", "ɨ": "IH", "y": "UW", "ʏ": "UH", "ʉ": "UW", "ɯ": "IH",
    "e": "EH", "ɛ": "EH", "ø": "ER", "œ": "ER", "ɘ": "AH", "ə": "AH", "ɐ": "AH", "ʌ": "AH", "ɤ": "AH", "ɵ": "UH",
    "æ": "AE", "a": "AA", "ä": "AA", "ɑ": "AA", "ɶ": "AA",
    "ɒ": "AO", "ɔ": "AO", "o": "AO", "u": "UW", "ʊ": "UH",
}  # fmt: skip
_BARELY = frozenset("ʔʲˈˌːˑ̞̃͡ʰ̩-_")
_VOWELS = frozenset({"IY", "IH", "UW", "UH", "EH", "ER", "AH", "AE", "AA", "AO"})
_LONG_S = 0.13
"""espeak-ng doesn't say which syllable is stressed; a vowel this long most often is."""


def looks(sounds: Iterable[Sound], end_s: float) -> list[Phoneme]:
    """The sounds with their ends and looks, a diphthong in two halves, and pauses as "_"."""
    sounds = [sound for sound in sounds if not sound.ipa.startswith("(")]
    result: list[Phoneme] = []
    for index, sound in enumerate(sounds):
        until_s = sounds[index + 1].start_s if index + 1 < len(sounds) else end_s
        if until_s <= sound.start_s:
            continue
        parts = _parts(sound.ipa)
        if not parts:
            if (
                sound.ipa and result
            ):  # a mark of its own, such as the palatal one: the sound before it goes on
                last = result.pop()
                result.append(Phoneme(last.symbol, last.start_s, until_s, last.stressed))
            else:
                result.append(Phoneme("_", sound.start_s, until_s, False))
            continue
        length_s = (until_s - sound.start_s) / len(parts)
        long = until_s - sound.start_s > _LONG_S
        for place, part in enumerate(parts):
            start_s = sound.start_s + place * length_s
            result.append(Phoneme(part, start_s, start_s + length_s, long and part in _VOWELS))
    return result


def _parts(ipa: str) -> list[str]:
    parts: list[str] = []
    for symbol in ipa:
        look = _SINGLE.get(symbol)
        if look is not None and symbol not in _BARELY and (not parts or parts[-1] != look):
            parts.append(look)
    # An affricate looks like its second half.
    return parts[-1:] if len(parts) == 2 and parts[0] == "D" and parts[1] in {"S", "SH"} else parts


_SAME = {
    "P": "B", "M": "B", "F": "V", "DH": "TH", "T": "D", "N": "D", "L": "D", "DX": "D", "Z": "S", "ZH": "SH", "CH": "SH",
    "JH": "SH", "G": "K", "NG": "K", "Y": "IY", "AX": "AH", "AXR": "ER", "EL": "D", "EM": "B", "EN": "D", "IX": "IH",
}  # fmt: skip
_TWO = {"AY": ("AA", "IH"), "AW": ("AA", "UH"), "EY": ("EH", "IY"), "OW": ("AO", "UW"), "OY": ("AO", "IY")}
_LOOKS = frozenset(_SINGLE.values())


def arpabet(ends: Iterable[tuple[str, float]], long_s: float = _LONG_S) -> list[Phoneme]:
    """ends: ARPAbet symbols of either case, each with its end in s -> looks; what is no phoneme is a pause.

    long_s: vowels that are longer are taken for stressed ones.
    """
    result: list[Phoneme] = []
    now_s = 0.0
    for name, end_s in ends:
        symbol = name.upper().rstrip("012")
        parts = _TWO.get(symbol, (_SAME.get(symbol, symbol),))
        if parts[0] not in _LOOKS:
            parts = ("_",)
        length_s = (end_s - now_s) / len(parts)
        for place, part in enumerate(parts):
            start_s = now_s + place * length_s
            result.append(
                Phoneme(part, start_s, start_s + length_s, end_s - now_s > long_s and part in _VOWELS)
            )
        now_s = end_s
    return result
