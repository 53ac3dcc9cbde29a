"""The avatar's motion to other programs over OSC, through python-osc."""

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="osc",
    summary="drives VTuber programs by the VMC protocol (python-osc)",
    provides=(
        Provides(
            Kind.OUTPUT,
            "vmc",
            "mien_osc.output:VmcOutput",
            "the face's motion to a VMC receiver: vmc://HOST:PORT",
        ),
    ),
    requires=("pythonosc",),
    install='pip install "mien[osc]"',
    settings="mien_osc.settings:Settings",
)
