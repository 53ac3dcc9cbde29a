"""Cameras, media files and MP4 recordings through PyAV (FFmpeg's libraries)."""

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="av",
    summary="cameras, clips and MP4 files (PyAV)",
    provides=(
        Provides(Kind.SOURCE, "camera", "mien_av.camera:CameraSource", "a camera of this machine"),
        Provides(Kind.SOURCE, "file", "mien_av.file:FileSource", "a clip: any file that FFmpeg reads"),
        Provides(Kind.OUTPUT, "file", "mien_av.mp4:Mp4Output", "an MP4 file, H.264 and AAC"),
    ),
    requires=("av",),
    install='pip install "mien[av]"',
    doctor="mien_av.doctor:checks",
    settings="mien_av.settings:Settings",
    devices="mien_av.doctor:devices",
)
