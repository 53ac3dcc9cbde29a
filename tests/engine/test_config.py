"""Settings: merged, typed, and helpful when wrong."""

import pytest

from mien.config import load_config
from mien.errors import ConfigError

pytestmark = pytest.mark.unit


def test_later_sources_win(tmp_path):
    file = tmp_path / "m.toml"
    file.write_text('[video]\nfps = 20\nsize = 256\n[run]\nout = ["web", "virtualcam"]\n')
    config = load_config(file, ["video.fps=22", "run.source=demo"], {"video.fps": 30, "video.size": None})
    assert config.video.fps == 30
    assert config.video.size == 256
    assert config.run.source == "demo"
    assert config.run.out == ("web", "virtualcam")


def test_the_users_and_the_folders_files_are_found(tmp_path, monkeypatch):
    (tmp_path / "c" / "mien").mkdir(parents=True)
    (tmp_path / "c" / "mien" / "mien.toml").write_text("[video]\nfps = 15\nsize = 256\n")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "mien.toml").write_text("[video]\nfps = 18\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    monkeypatch.chdir(tmp_path / "w")
    config = load_config()
    assert (config.video.fps, config.video.size) == (18, 256)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("video.fsp=30", ["video.fsp", "Did you mean 'video.fps'"]),
        ("vidio.fps=30", ["vidio"]),
        ("video.fps=soon", ["video.fps", "soon"]),
        ("video.size=513", ["video.size", "513"]),
        ("server.port=99999", ["server.port", "99999"]),
        ("fps=30", ["SECTION.KEY=VALUE"]),
        ("video.fps", ["SECTION.KEY=VALUE"]),
    ],
)
def test_a_mistake_is_named_with_its_mend(assignment, words):
    with pytest.raises(ConfigError) as caught:
        load_config(None, [assignment])
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 2


def test_mistakes_in_a_file_name_the_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[server]\nprot = 1\n")
    with pytest.raises(ConfigError, match=r"mine\.toml.*server\.prot.*server\.port"):
        load_config(file)
    file.write_text("[server\n")
    with pytest.raises(ConfigError, match=r"mine\.toml is not valid TOML"):
        load_config(file)
    with pytest.raises(ConfigError, match="no configuration file"):
        load_config(tmp_path / "none.toml")


def test_plugins_have_free_sections():
    config = load_config(None, ['plugin.photo.quality="high"'])
    assert config.plugin == {"photo": {"quality": "high"}}


@pytest.mark.parametrize(
    ("size", "aspect", "picture"),
    [
        (512, "square", (512, 512)),
        (512, "16:9", (910, 512)),
        (256, "16:9", (456, 256)),
        (720, "16:9", (1280, 720)),
        (1024, "16:9", (1820, 1024)),
    ],
)
def test_pictures_have_the_shape_that_is_asked_for(size, aspect, picture):
    config = load_config(options={"video.size": size, "video.aspect": aspect})
    assert config.video.picture == picture


def test_a_colour_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="#RRGGBB"):
        load_config(options={"run.background": "#12"})


def test_another_shape_is_refused():
    with pytest.raises(ConfigError, match="16:9"):
        load_config(options={"video.aspect": "4:3"})
