"""What this plugin declares. Import-light: aiortc, FastAPI and OpenCV come with the factories' modules."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="webrtc",
    summary="the page, the JSON API, WHEP out and WHIP in",
    provides=(
        Provides(
            Kind.GATEWAY,
            "web",
            "mien_webrtc.gateway:WebGateway",
            "the page, the JSON API, WHEP out and WHIP in",
            rank=10,
        ),
        Provides(Kind.ENCODER, "h264", "mien_webrtc.h264:H264Encoder", "libx264 through PyAV", rank=10),
        Provides(Kind.ENCODER, "vp8", "mien_webrtc.vp8:Vp8Encoder", "libvpx through PyAV"),
    ),
    requires=("aiortc", "av", "cv2", "fastapi", "multipart", "prometheus_client", "uvicorn", "websockets"),
    install='pip install "mien[webrtc]"',
    doctor="mien_webrtc.doctor:checks",
    settings="mien_webrtc.settings:WebrtcSettings",
)
