"""Cameras, media files and recordings through PyAV (FFmpeg's libraries)."""

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="av",
    summary="cameras, clips and video files (PyAV)",
    provides=(
        Provides(Kind.SOURCE, "camera", "mien_av.camera:CameraSource", "a camera of this machine"),
        Provides(Kind.SOURCE, "file", "mien_av.file:FileSource", "a clip: any file that FFmpeg reads"),
        Provides(Kind.OUTPUT, "file", "mien_av.videofile:VideoFileOutput", "a video: .mp4, .webm or .mov"),
    ),
    requires=("av",),
    install='pip install "mien[av]"',
    doctor="mien_av.doctor:checks",
    settings="mien_av.settings:Settings",
    devices="mien_av.doctor:devices",
)
