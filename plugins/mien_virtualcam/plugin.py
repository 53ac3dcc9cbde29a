"""A virtual camera that call programs can choose, through pyvirtualcam."""

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="virtualcam",
    summary="a virtual camera for call programs (pyvirtualcam)",
    provides=(
        Provides(
            Kind.OUTPUT,
            "virtualcam",
            "mien_virtualcam.output:VirtualCameraOutput",
            "a camera that Zoom, Meet and others can choose",
        ),
    ),
    requires=("pyvirtualcam", "cv2"),
    install='pip install "mien[virtualcam]"',
    settings="mien_virtualcam.settings:Settings",
    devices="mien_virtualcam.doctor:checks",
)
