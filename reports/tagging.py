"""Tagging: what PDF/UA asks of a tagged file and WeasyPrint leaves out.

The scope of each header cell, a description of each link, and the claim itself in the metadata. The
claim names the standard that the file was made for; whether it is kept is for validators to say.
"""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["finish"]

#: The claim, and the description of its schema that PDF/A asks for.
CLAIM = b"""<rdf:Description xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" rdf:about=""
  xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/" pdfuaid:part="1"/>
<rdf:Description xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" rdf:about=""
  xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
  xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#"
  xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
 <pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
  <pdfaSchema:schema>PDF/UA identification schema</pdfaSchema:schema>
  <pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>
  <pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
  <pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">
   <pdfaProperty:name>part</pdfaProperty:name>
   <pdfaProperty:valueType>Integer</pdfaProperty:valueType>
   <pdfaProperty:category>internal</pdfaProperty:category>
   <pdfaProperty:description>Part of ISO 14289 that the file was made for</pdfaProperty:description>
  </rdf:li></rdf:Seq></pdfaSchema:property>
 </rdf:li></rdf:Bag></pdfaExtension:schemas>
</rdf:Description>
</rdf:RDF>"""

Parts = Mapping[int, Any]


def finish(document: Any, pdf: Any) -> None:  # noqa: ARG001 - as WeasyPrint calls it
    """Add to a laid out PDF what its tags lack.

    Args:
        document: Pages, not used.
        pdf: The file as pydyf has it, before it is written.
    """
    from pydyf import String

    parts = {item.number: item for item in pdf.objects}
    metadata = parts[_number(pdf.catalog["Metadata"])]
    metadata.stream = [b"".join(metadata.stream).replace(b"</rdf:RDF>", CLAIM)]
    for item in _dictionaries(pdf):
        if item.get("S") == "/TH":
            rows = parts[_number(parts[_number(item["P"])]["P"])]
            item["A"]["Scope"] = "/Column" if rows.get("S") == "/THead" else "/Row"
        elif item.get("Subtype") == "/Link":
            item["Contents"] = String(_goes_to(item))


def _dictionaries(pdf: Any) -> Iterator[Any]:
    return (item for item in pdf.objects if isinstance(item, dict))


def _number(reference: bytes) -> int:
    return int(reference.split()[0])


def _goes_to(link: Mapping[str, Any]) -> str:
    """Where a link leads, in words, by its anchor: a part, a finding or an analysis."""
    target = link.get("Dest")
    name = getattr(target, "string", "")
    if not name:
        return "Link to another place"
    if name.startswith("f") and name[1:].isdigit():
        return f"To finding {name[1:]}"
    if len(name) == 1:
        return f"To part {name.upper()}"
    return f"To {name.replace('-', ': ', 1).replace('_', ' ')}"
