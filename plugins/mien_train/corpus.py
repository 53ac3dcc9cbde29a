"""What is learned from: sound as log-mel frames, with the code of the mouth that made it.

Three kinds. **Synthetic**: espeak-ng and flite say made-up sentences, whose phonemes become curves by dominance
functions; exact in time, general in voices, exaggeratedly clear. **Curves**: recordings with blendshape curves.
**Tracked**: clips whose faces our own tracker followed; the way people really move, at whatever scale the fit has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from mien.clock import NS_PER_S
from mien.drive.loop import TICKS_PER_S, Loop
from mien.drive.speech import Phoneme, articulate
from mien.errors import MediaError
from mien.face.lips import PARTING
from mien.face.rig import INDEX
from mien.frames import EXPRESSIONS, AudioFrame, FaceParams, Float
from mien.performance.reader import PerformanceReader
from mien.voice.articulation import CHANNEL, CODE, encode
from mien.voice.features import BANDS, SPAN, log_mel, loudness
from mien.voice.resample import BLOCK, RATE, Resampler
from mien_train.degrade import degraded, faster
from mien_train.espeak import Speaker, Utterance
from mien_train.flite import VOICES as FLITE_VOICES
from mien_train.flite import Flite
from mien_train.phonetics import looks
from mien_train.sentences import LANGUAGES, sentence

FRAMES_PER_S = 100
FRAME_OFFSET_S = (BLOCK - SPAN / 2) / RATE
"""The middle of frame 0 when sound begins with the first sample: -2.5 ms, as in `mien.voice.features`."""

VARIANTS = ("", *(f"+f{i}" for i in range(1, 6)), *(f"+m{i}" for i in (1, 2, 3, 4, 5, 7, 8)), "+klatt", "+klatt2",
            "+klatt4")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clip:
    """mel: (N, 64) float32 log-mel; code: (N, 10) float32; level: natural log of the speaker's usual loudness;
    speaking: (N,) float32, whether a sound is being made. exact: the code has a true scale (else its course only).
    """

    name: str
    mel: Float
    code: Float
    level: float
    speaking: Float
    exact: bool


def mel_of(sound: Float) -> Float:
    """(N,) float32 at 16 kHz -> (N // 160, 64) log-mel, just as the live features have it."""
    padded = np.concatenate([np.zeros(SPAN - BLOCK, np.float32), sound])
    spans = np.lib.stride_tricks.sliding_window_view(padded, SPAN)[::BLOCK]
    return log_mel(spans) if len(spans) else np.zeros((0, BANDS), np.float32)


def usual_level(mel: Float) -> float:
    """Where the live features' level settles for this sound."""
    return float(np.percentile(loudness(mel), 93))


def at_frames(times_s: Float, values: Float, frames: int) -> Float:
    """values: (M, C) at `times_s` -> (frames, C) at the middles of the features' frames, held at the ends."""
    wanted = np.arange(frames) / FRAMES_PER_S + FRAME_OFFSET_S
    return np.stack([np.interp(wanted, times_s, column) for column in values.T], axis=-1).astype(np.float32)


# --- synthetic ------------------------------------------------------------------------------------------


def synthetic(count: int, seed: int) -> list[Clip]:
    """`count` sentences of 2 to 7 s. Raises `PluginError` without espeak-ng."""
    rng = np.random.default_rng(seed)
    speaker = Speaker()
    return [_spoken(speaker, index, rng) for index in range(count)]


def _spoken(speaker: Speaker, index: int, rng: np.random.Generator) -> Clip:
    language = LANGUAGES[int(rng.choice(len(LANGUAGES), p=_LANGUAGE_SHARES))]
    said = speaker.say(
        sentence(language, rng),
        language.voice + str(rng.choice(VARIANTS)),
        words_per_minute=int(rng.uniform(125, 215)),
        pitch=int(rng.uniform(10, 90)),
        pitch_range=int(rng.uniform(20, 90)),
    )
    phonemes = looks(said.sounds, len(said.samples) / said.rate)
    return _synthesised(f"espeak {index} {language.voice}", said, phonemes, rng)


def english(count: int, seed: int) -> list[Clip]:
    """`count` sentences in the voices of flite. Raises `PluginError` without it."""
    rng = np.random.default_rng(seed)
    flite = Flite()
    found = []
    for index in range(count):
        voice = FLITE_VOICES[index % len(FLITE_VOICES)]
        said, phonemes = flite.say(
            sentence(LANGUAGES[0], rng), voice, stretch=rng.uniform(0.75, 1.15), pitch=rng.uniform(0.85, 1.25)
        )
        found.append(_synthesised(f"flite {index} {voice}", said, phonemes, rng))
    return found


def _synthesised(name: str, said: Utterance, phonemes: list[Phoneme], rng: np.random.Generator) -> Clip:
    """With some silence about it, through a room or line, and what the mouth does."""
    before_s, after_s = rng.uniform(0.2, 0.8, 2)
    before_s = int(before_s * RATE) / RATE
    resampler = Resampler(said.rate)
    sound = np.concatenate(
        [
            np.zeros(round(before_s * RATE), np.float32),
            *resampler.push(said.samples),
            *resampler.push(np.zeros(int(after_s * said.rate), np.float32)),
        ]
    )
    phonemes = [Phoneme(p.symbol, p.start_s + before_s, p.end_s + before_s, p.stressed) for p in phonemes]
    mel = mel_of(degraded(sound * rng.uniform(0.3, 0.9), rng))
    curves, speaking = curves_of(phonemes, len(sound) / RATE, rng)
    times_s = np.arange(len(curves)) / TICKS_PER_S
    code = at_frames(times_s, curves, len(mel))
    voiced = at_frames(times_s, speaking[:, None], len(mel))[:, 0]
    return Clip(name, mel, code, usual_level(mel), voiced, exact=True)


_LANGUAGE_SHARES = np.array([3.0, 3.0, 1.0] + [1.0] * (len(LANGUAGES) - 3))
_LANGUAGE_SHARES = _LANGUAGE_SHARES / _LANGUAGE_SHARES.sum()


def curves_of(phonemes: list[Phoneme], duration_s: float, rng: np.random.Generator) -> tuple[Float, Float]:
    """((N, 10) code, (N,) speaking) at `TICKS_PER_S`: what the mouth does that says `phonemes`."""
    loop = Loop(duration_s + 1.5)  # room for what runs over the end, which must not come back at the start
    weights = articulate(loop, phonemes, rng)
    tongue, speaking = loop.zeros(), loop.zeros()
    for phoneme in phonemes:
        length_s = phoneme.end_s - phoneme.start_s
        if phoneme.symbol == "TH":
            loop.bump(tongue, phoneme.start_s - 0.04, 0.06, max(length_s - 0.03, 0.01), 0.06, 0.35)
        if phoneme.symbol != "_":
            first, last = round(phoneme.start_s * TICKS_PER_S), round(phoneme.end_s * TICKS_PER_S)
            speaking[first:last] = 1.0
    weights[:, INDEX["tongueOut"]] = np.minimum(tongue, 0.5)
    ticks = round(duration_s * TICKS_PER_S)
    return encode(weights)[:ticks], speaking[:ticks]


# --- recordings with curves -----------------------------------------------------------------------------

_CURVES_FPS = 30.0


def curves(folder: Path, take: str) -> Clip:
    """One take of `audio2blendshape/`, its 116 channels under our names. Raises `MediaError` when it isn't there."""
    sound_file, values_file = folder / f"1114_{take}.wav", folder / f"bs_value_1114_{take}.npy"
    for file in (sound_file, values_file, folder / "shirley_1015_bs_name.npy"):
        if not file.is_file():
            raise MediaError(f"{file} is missing. Give the folder of audio2blendshape.")
    names = [str(name) for name in np.load(folder / "shirley_1015_bs_name.npy", allow_pickle=True)]
    values = dict(zip(names, np.load(values_file).T, strict=True))
    rate, pcm = wavfile.read(sound_file)
    sound = sixteen((pcm / 32768).astype(np.float32), rate)
    mel = mel_of(sound)
    code = at_frames(np.arange(len(values[names[0]])) / _CURVES_FPS, _renamed(values), len(mel))
    level = usual_level(mel)
    speaking = (loudness(mel) > level - 4.5).astype(np.float32)
    return Clip(f"curves {take}", mel, code, level, speaking, exact=False)


def _renamed(values: dict[str, Float]) -> Float:
    """(N, 10): FACEGOOD's channels (named after FACS) as the code. Its `mouth_stretch` is the jaw."""

    def mean(*names: str) -> Float:
        return np.asarray(sum(values[name] for name in names) / len(names))

    weights = np.zeros((len(values["mouth_stretch_c"]), EXPRESSIONS), np.float32)
    funnel = mean("mouth_funnel_dl", "mouth_funnel_dr", "mouth_funnel_ul", "mouth_funnel_ur")
    lower = mean("mouth_lowerLipDepress_l", "mouth_lowerLipDepress_r")
    upper = mean("mouth_upperLipRaise_l", "mouth_upperLipRaise_r")
    pulled = mean("mouth_lipCornerPull_l", "mouth_lipCornerPull_r")
    stretched = mean("mouth_lipStretch_l", "mouth_lipStretch_r")
    weights[:, INDEX["jawOpen"]] = values["mouth_stretch_c"]
    weights[:, INDEX["mouthFunnel"]] = np.minimum(funnel + 0.5 * values["mouth_oh_c"], 1)
    weights[:, INDEX["mouthPucker"]] = np.minimum(
        mean("mouth_pucker_l", "mouth_pucker_r") + values["mouth_oo_c"], 1
    )
    suck = mean("mouth_suck_dl", "mouth_suck_dr")
    weights[:, INDEX["mouthRollLower"]] = suck
    weights[:, INDEX["mouthRollUpper"]] = mean("mouth_suck_ul", "mouth_suck_ur")
    press = mean("mouth_press_l", "mouth_press_r")
    for side in ("Left", "Right"):
        weights[:, INDEX[f"mouthLowerDown{side}"]] = lower
        weights[:, INDEX[f"mouthUpperUp{side}"]] = upper
        weights[:, INDEX[f"mouthSmile{side}"]] = pulled
        weights[:, INDEX[f"mouthStretch{side}"]] = stretched
        weights[:, INDEX[f"mouthPress{side}"]] = 0.16 * press
    code = encode(weights)
    # Sucked-in and pressed lips close what the jaw has opened.
    code[:, CHANNEL["opening"]] *= 1 - np.minimum(press + suck, 1)
    return code


def sixteen(sound: Float, rate: int) -> Float:
    """(N,) or (N, C) at `rate` -> (M,) at 16 kHz."""
    resampler = Resampler(rate)
    blocks = [*resampler.push(sound), *resampler.push(np.zeros(rate // 20, np.float32))]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


# --- tracked clips --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tracked:
    """A tracked clip. sound: (N,) float32 at 16 kHz, beginning with the first frame. times_s: (M,), weights: (M, 52)
    relative to the person at rest, opening: (M,) how far the lips part, confidence: (M,).
    """

    sound: Float
    times_s: Float
    weights: Float
    opening: Float
    confidence: Float


def tracked(path: Path, start_s: float = 0.0, end_s: float = 1e9) -> Tracked:
    """Read a performance with sound, the frames and sound from `start_s` to `end_s`. Raises `MediaError`."""
    faces: list[FaceParams] = []
    sound: list[AudioFrame] = []
    neutral = None
    with PerformanceReader(path) as reader:
        neutral = reader.subject.neutral
        for event in reader.events():
            if isinstance(event, FaceParams):
                faces.append(event)
            elif isinstance(event, AudioFrame):
                sound.append(event)
            else:
                neutral = event.neutral
    if not faces or not sound:
        raise MediaError(f"{path} has no {'sound' if faces else 'face'}; nothing can be learned from it.")
    rate = sound[0].rate
    offset_s = (sound[0].capture_ns - faces[0].capture_ns) / NS_PER_S
    samples = np.concatenate([frame.samples.mean(axis=1) for frame in sound])
    lead = round(offset_s * rate)
    samples = np.concatenate([np.zeros(lead, np.float32), samples]) if lead > 0 else samples[-lead:]
    times_s = np.array([(f.capture_ns - faces[0].capture_ns) / NS_PER_S for f in faces])
    kept = (times_s >= start_s) & (times_s < end_s)
    weights = np.stack([face.expression for face in faces]) - neutral
    heard = sixteen(samples, rate)[int(start_s * RATE) : int(min(end_s, times_s[-1] + 0.04) * RATE)]
    return Tracked(
        sound=heard,
        times_s=(times_s[kept] - start_s).astype(np.float32),
        weights=weights[kept].astype(np.float32),
        opening=(weights[kept] @ PARTING).astype(np.float32),
        confidence=np.array([face.confidence for face in faces], np.float32)[kept],
    )


def clips_of(
    name: str, seen: Tracked, rng: np.random.Generator, speeds: tuple[int, ...] = (100,)
) -> list[Clip]:
    """The clip at each speed (percent) clean, and once through a room or line."""
    found = []
    code = encode(seen.weights)
    code[:, CHANNEL["opening"]] = seen.opening
    for speed in speeds:
        for clean in (True, False):
            sound = seen.sound if speed == 100 else faster(seen.sound, speed)
            mel = mel_of(sound if clean else degraded(sound, rng))
            level = usual_level(mel)
            speaking = (loudness(mel) > level - 4.5).astype(np.float32)
            moved = at_frames(seen.times_s * 100 / speed, code, len(mel))
            found.append(Clip(f"{name} at {speed}", mel, moved, level, speaking, exact=False))
    return found


assert len(CODE) == 10  # noqa: S101 - the network's output has that width
