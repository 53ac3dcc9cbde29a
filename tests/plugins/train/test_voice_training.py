"""Training: phonemes become motion, a step is learned from, and what is exported is what was trained."""

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", exc_type=ImportError)
pytest.importorskip("onnx", exc_type=ImportError)

from mien.drive.loop import TICKS_PER_S  # noqa: E402
from mien.errors import MediaError, StageError  # noqa: E402
from mien.testing.context import FakeContext  # noqa: E402
from mien.voice.articulation import CHANNEL, CODE  # noqa: E402
from mien.voice.features import BANDS, Features, normalised  # noqa: E402
from mien.voice.network import AHEAD, BEHIND, SPAN_FRAMES, STEP, WINDOW  # noqa: E402
from mien.voice.resample import BLOCK  # noqa: E402
from mien_train.corpus import Clip, curves_of, mel_of, usual_level  # noqa: E402
from mien_train.degrade import degraded  # noqa: E402
from mien_train.espeak import Sound  # noqa: E402
from mien_train.learning import CROP, Batches, fit, loss_of  # noqa: E402
from mien_train.model import Live, VoiceNet  # noqa: E402
from mien_train.phonetics import arpabet, looks  # noqa: E402
from mien_train.voice import reproducible, restored  # noqa: E402

pytestmark = pytest.mark.plugin


@pytest.fixture(autouse=True)
def _one_thread():
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def clip(seed: int = 0, seconds: float = 4.0) -> Clip:
    """Noise whose loudness is the opening of the mouth."""
    rng = np.random.default_rng(seed)
    opening = np.repeat(rng.uniform(0, 0.6, int(seconds * 5) + 1), 20)[: int(seconds * 100)].astype(
        np.float32
    )
    sound = rng.normal(size=len(opening) * BLOCK) * np.repeat(opening, BLOCK)
    mel = mel_of(sound.astype(np.float32) * 0.2)
    code = np.zeros((len(mel), len(CODE)), np.float32)
    code[:, CHANNEL["opening"]] = opening
    return Clip(
        "noise", mel, code, usual_level(mel), (opening > 0.05).astype(np.float32), exact=seed % 2 == 0
    )


# --- phonemes -------------------------------------------------------------------------------------------


def test_ipa_becomes_looks():
    sounds = [
        Sound("m", 0.1),
        Sound("aɪ", 0.2),
        Sound("tʃ", 0.4),
        Sound("", 0.5),
        Sound("(en)", 0.6),
        Sound("u", 0.6),
    ]
    found = looks(sounds, 0.8)
    assert [p.symbol for p in found] == ["B", "AA", "IH", "SH", "_", "UW"]
    assert [round(p.start_s, 2) for p in found] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert found[-1].end_s == 0.8


def test_arpabet_becomes_looks():
    found = arpabet([("pau", 0.2), ("b", 0.3), ("ow", 0.5), ("t", 0.6)])
    assert [p.symbol for p in found] == ["_", "B", "AO", "UW", "D"]


def test_lips_close_on_labials_and_round_on_u():
    phonemes = arpabet([("pau", 0.3), ("aa", 0.5), ("b", 0.58), ("aa", 0.8), ("uw", 1.0), ("pau", 1.4)])
    code, speaking = curves_of(phonemes, 1.4, np.random.default_rng(0))
    opening, pucker = code[:, CHANNEL["opening"]], code[:, CHANNEL["pucker"]]
    at = lambda seconds: round(seconds * TICKS_PER_S)  # noqa: E731
    assert opening[at(0.42)] > 0.3
    assert opening[at(0.54)] < 0.02
    assert pucker[at(0.92)] > 0.4 > pucker[at(0.7)] + 0.1
    assert speaking[at(0.1)] == 0
    assert speaking[at(0.6)] == 1


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_tells_when_it_says_what():
    from mien_train.espeak import Speaker

    said = Speaker().say("baby", "en-us+f2")
    symbols = [p.symbol for p in looks(said.sounds, len(said.samples) / said.rate)]
    assert symbols[:1] == ["B"]
    assert symbols.count("B") == 2
    assert 0.3 < len(said.samples) / said.rate < 2


# --- features -------------------------------------------------------------------------------------------


def test_training_sees_what_the_listener_sees():
    """Frame by frame, the features of the corpus are those of the live listener but for its level, where that is no
    softer than usual: of softer voices the live floor goes down as well.
    """
    sound = (np.random.default_rng(1).normal(size=BLOCK * 100) * 0.3).astype(np.float32)
    features, live = Features(), []
    for block in sound.reshape(-1, BLOCK):
        frame = features.push(block)
        live.append(frame * 4 + features.level)
    assert mel_of(sound) == pytest.approx(np.stack(live), abs=2e-3)


def test_degradation_keeps_time():
    click = np.zeros(16_000, np.float32)
    click[8_000] = 0.5
    for seed in range(8):
        found = degraded(click, np.random.default_rng(seed))
        assert len(found) == len(click)
        assert abs(int(np.abs(found).argmax()) - 8_000) < 24


# --- learning -------------------------------------------------------------------------------------------


def batches() -> Batches:
    hiss = mel_of((np.random.default_rng(7).normal(size=BLOCK * 400) * 0.1).astype(np.float32))
    return Batches((([clip(0), clip(2)], 2), ([clip(1)], 1)), 4, [hiss])


def test_the_same_seed_makes_the_same_batches():
    one, other = batches().draw(), batches().draw()
    assert torch.equal(one.features, other.features)
    assert torch.equal(one.reach, other.reach)
    assert one.features.shape == (4, CROP, BANDS)
    assert one.code.shape[1] == CROP // STEP - WINDOW + 1


def test_the_same_seed_makes_the_same_weights():
    def learned(seed: int) -> np.ndarray:
        reproducible(seed)
        net = VoiceNet(width=16, projected=16, dilations=(1,))
        fit(net, batches(), 3, lambda *_: None)
        return torch.cat([value.flatten() for value in net.parameters()]).detach().numpy()

    one = learned(4)
    torch.randn(7)  # what was drawn before doesn't matter
    assert learned(4) == pytest.approx(one, abs=1e-5)
    assert np.abs(learned(5) - one).max() > 1e-2


def test_a_few_steps_learn_something():
    examples = batches()
    net = VoiceNet(width=16, projected=16, dilations=(1,))
    probe = examples.draw()

    def loss() -> float:
        with torch.no_grad():
            return float(sum(loss_of(net.eval()(probe.features, probe.reach), probe).values()))

    before = loss()
    fit(net, examples, 25, lambda *_: None, rate=5e-3)
    assert loss() < before


def test_the_future_beyond_the_reach_changes_nothing():
    net = VoiceNet().eval()
    features = torch.randn(1, SPAN_FRAMES, BANDS)
    for reach in (0, 2, AHEAD):
        changed = features.clone()
        changed[:, SPAN_FRAMES - STEP * (AHEAD - reach) :] += 5
        with torch.no_grad():
            one, other = (Live(net)(x, torch.tensor([reach])) for x in (features, changed))
        assert torch.equal(one, other) is True


def test_the_live_window_answers_as_the_whole_sequence_does():
    net = VoiceNet().eval()
    features = torch.randn(1, SPAN_FRAMES + 40 * STEP, BANDS)
    with torch.no_grad():
        whole = net(features, torch.tensor([3]))
        step = 30
        end = STEP * (step + BEHIND + 1 + AHEAD)
        live = Live(net)(features[:, end - SPAN_FRAMES : end], torch.tensor([3]))
    assert live[0, :-1].numpy() == pytest.approx(whole[0, step, :-1].numpy(), abs=1e-5)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_what_is_exported_is_what_was_trained(name, tmp_path):
    pytest.importorskip(name, exc_type=ImportError)
    runtime = opened_runtime(name)
    from mien_train.export import export

    net = VoiceNet().eval()
    worst = export(net, tmp_path / "net.onnx", runtime, {"seed": "1"})
    assert worst < 2e-4
    network = runtime.load(tmp_path / "net.onnx")
    assert network.inputs["features"].accepts((1, SPAN_FRAMES, BANDS))


def test_an_export_that_differs_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", exc_type=ImportError)
    from mien_train import export as exporting

    monkeypatch.setattr(exporting, "difference", lambda *_: 0.1)
    with pytest.raises(StageError, match="differs"):
        exporting.export(VoiceNet().eval(), tmp_path / "net.onnx", opened_runtime("onnxruntime"), {})
    assert not (tmp_path / "net.onnx").exists()


def opened_runtime(name: str):
    """A plugin may not import another one; a test may."""
    import importlib

    factory = {"onnxruntime": "OnnxRuntime", "openvino": "OpenVino"}[name]
    runtime = getattr(importlib.import_module(f"mien_{name}.runtime"), factory)()
    runtime.open(FakeContext())
    return runtime


def test_normalised_features_are_in_range():
    noise = clip(0)
    assert -4 < normalised(noise.mel, noise.level).mean() < 0.5


def test_what_is_frozen_is_not_changed_by_learning():
    net = VoiceNet()
    for name, parameter in net.named_parameters():
        parameter.requires_grad = name.startswith("answer")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    fit(net, batches(), 3, lambda *_: None)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("answer") for name in changed), changed


def test_a_base_that_is_missing_is_named(tmp_path):
    with pytest.raises(MediaError, match=r"mine\.pt is missing"):
        restored(tmp_path / "mine.pt")
