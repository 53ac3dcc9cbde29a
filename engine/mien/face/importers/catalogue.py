"""The face models that mien knows how to come by: their licences, and where they are to be had."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """summary: what it is. licence: in a few words. page: where to read more or register. files: what its publishers
    call the file to import. download: for what is openly hosted.
    """

    name: str
    summary: str
    licence: str
    page: str
    files: str
    download: Download | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """An archive of one commit. url: of the zip. folder: what in it is imported. tree: git's hash of that folder, which
    is a hash over the names and content of all its files: an archive's own may differ from day to day.
    """

    url: str
    folder: str
    tree: str

    @property
    def checksum(self) -> str:
        """For people, who can compare it with what `git ls-tree` shows."""
        return f"git tree {self.tree}"


_ICT_COMMIT = "da5f95a607f5e6b37755b38d3385d7f2853732e5"

CATALOGUE: tuple[Known, ...] = (
    Known(
        "ict-facekit",
        "ICT-FaceKit: 100 identity modes, 53 expressions, teeth, eyeballs",
        "MIT, Copyright (c) 2020 USC Institute for Creative Technologies",
        "https://github.com/ICT-VGL/ICT-FaceKit",
        "the folder FaceXModel, or ict_facekit.npz",
        Download(
            f"https://github.com/ICT-VGL/ICT-FaceKit/archive/{_ICT_COMMIT}.zip",
            "FaceXModel",
            "8651fa085a9f6043368aba92567d69d8d95ea605",
        ),
    ),
    Known(
        "flame2020",
        "FLAME 2020: 300 identity modes, 100 expressions, a jaw joint",
        "non-commercial, registration",
        "https://flame.is.tue.mpg.de",
        "generic_model.pkl",
    ),
    Known(
        "flame2023",
        "FLAME 2023: as 2020, on revised data; an Open edition exists",
        "non-commercial, registration (Open edition: CC BY 4.0)",
        "https://flame.is.tue.mpg.de",
        "flame2023.pkl or flame2023_Open.pkl",
    ),
    Known(
        "bfm2009",
        "Basel Face Model 2009: 199 identity and albedo modes, no expressions",
        "non-commercial, registration",
        "https://faces.dmi.unibas.ch/bfm/index.php?nav=1-2&id=downloads",
        "01_MorphableModel.mat",
    ),
    Known(
        "bfm2017",
        "Basel Face Model 2017: 199 identity and albedo modes, 100 expressions",
        "non-commercial, registration",
        "https://faces.dmi.unibas.ch/bfm/bfm2017.html",
        "model2017-1_bfm_nomouth.h5",
    ),
    Known(
        "bfm2019",
        "Basel Face Model 2019: as 2017, with the whole head",
        "non-commercial, registration",
        "https://faces.dmi.unibas.ch/bfm/bfm2019.html",
        "model2019_fullHead.h5 or model2019_bfm.h5",
    ),
)


def known(name: str) -> Known | None:
    """The entry of that name, or None."""
    return next((entry for entry in CATALOGUE if entry.name == name), None)
