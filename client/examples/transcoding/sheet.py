"""The contact sheet: a page with a picture of each video, which plays it at a click. One file, no network."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index import Video

VIDEOS = "videos"
"""The folder of the videos, beside the page."""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Transcoded: {count} videos</title>
<style>
body {{ margin: 2rem; background: #16181d; color: #d8dbe2; font: 14px/1.4 system-ui, sans-serif; }}
h1 {{ font-size: 1.3rem; font-weight: 600; }}
p {{ color: #9aa0ad; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1.2rem; }}
figure {{ margin: 0; background: #20232a; border-radius: 6px; overflow: hidden; }}
a {{ display: block; aspect-ratio: 16 / 9; background: #000; }}
img {{ width: 100%; height: 100%; object-fit: contain; display: block; }}
figcaption {{ padding: .5rem .7rem; }}
b {{ display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
small {{ color: #9aa0ad; }}
.again {{ color: #f0b35a; }}
.failed {{ color: #ff7b72; }}
</style>
<h1>{count} videos</h1>
<p>{seconds:.0f} s of video, {source} in, {target} out. A click plays the transcoded video.</p>
<main>
{figures}
</main>
"""

FIGURE = """<figure>{picture}
<figcaption><b title="{name}">{name}</b>
<small>{seconds:.1f} s, {source} &rarr; {target}<br>{worker}, in {took:.1f} s{note}</small></figcaption>
</figure>"""


def write(page: Path, videos: Sequence[Video]) -> None:
    """Write the page anew; whoever opens it meanwhile sees the old one or the new one, whole."""
    text = PAGE.format(
        count=len(videos),
        seconds=sum(video.seconds for video in videos),
        source=_size(sum(video.source_bytes for video in videos)),
        target=_size(sum(video.target_bytes for video in videos)),
        figures="\n".join(map(_figure, videos)),
    )
    fresh = page.with_name(f".{page.name}")
    fresh.write_text(text, encoding="utf-8", errors="replace")
    fresh.replace(page)


def _figure(video: Video) -> str:
    if video.error is not None:
        note = f'<br><span class="failed">given up: {html.escape(video.error)}</span>'
        picture = "<a></a>"
    else:
        again = f'<br><span class="again">finished at attempt {video.attempt}</span>'
        note = again if video.attempt > 1 else ""
        image = base64.b64encode(video.thumbnail).decode()
        link = f"{VIDEOS}/{quote(video.file, errors='surrogateescape')}"
        picture = f'<a href="{link}"><img alt="" src="data:image/jpeg;base64,{image}"></a>'
    return FIGURE.format(
        picture=picture,
        name=html.escape(video.name),
        seconds=video.seconds,
        source=_size(video.source_bytes),
        target=_size(video.target_bytes),
        worker=html.escape(video.worker),
        took=video.took,
        note=note,
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
