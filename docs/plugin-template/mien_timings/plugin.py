"""The descriptor: what the plugin provides. Nothing heavy is imported here."""

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="timings",
    summary="writes the latency of every picture to a CSV file",
    provides=(Provides(Kind.OUTPUT, "timings", "mien_timings.output:TimingsOutput"),),
)
