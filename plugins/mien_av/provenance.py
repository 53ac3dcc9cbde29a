"""The machine-readable note in every video that its pictures are synthetic.

IPTC's property "Digital Source Type" says how a picture came to be; platforms and search engines read it to
label AI media. The value here is `compositeSynthetic`, "mix or composite of multiple elements, at least one
of which is synthetic": a captured photo, moved and completed by a face model. It is not
`trainedAlgorithmicMedia`, which is for pictures that a model made out of its training data.

The note is an XMP packet in a top-level `uuid` box (XMP specification part 3, section 1.1.5, for ISO base
media files), where exiftool and others look for it; in WebM, which has no such boxes, a tag.
"""

from __future__ import annotations

import os
import re
import struct
import uuid
from pathlib import Path

import mien
from mien_av.boxes import top_level_boxes

SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
COMMENT = "Synthetic media: a person's picture animated by software (mien). Not a recording."

TAGS = {"DIGITAL_SOURCE_TYPE": SYNTHETIC}
"""The note where there are no boxes: tags of a WebM file."""

_XMP = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
_MAX_PACKET = 1 << 20
_VALUE = re.compile(rb"Iptc4xmpExt:DigitalSourceType(?:\s*>\s*|\s*=\s*[\"'])([^<\"'\s]+)")

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <xmp:CreatorTool>mien {version}</xmp:CreatorTool>
   <Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def append_digital_source_type(path: Path, source_type: str = SYNTHETIC) -> None:
    """Append the note to a finished MP4 or MOV. Raises `OSError`."""
    packet = _PACKET.format(version=mien.__version__, source_type=source_type).encode()
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(struct.pack(">I4s16s", 24 + len(packet), b"uuid", _XMP) + packet)


def read_digital_source_type(path: str | Path) -> str | None:
    """The IPTC digital source type that an MP4 carries, a URL; None when it carries none.

    Raises `OSError` when the file cannot be read.
    """
    with Path(path).open("rb") as file:
        for box in list(top_level_boxes(file)):
            if box.kind != b"uuid" or box.end - box.content > _MAX_PACKET:
                continue
            file.seek(box.content)
            if file.read(16) == _XMP and (found := _VALUE.search(file.read(box.end - box.content - 16))):
                return found[1].decode(errors="replace")
    return None
