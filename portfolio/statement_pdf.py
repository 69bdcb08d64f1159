"""Statements for people: PDF, to the paisa."""

from __future__ import annotations

import io
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from portfolio.domain.statement import Statement
from portfolio.statement_files import all_rows, shown
from portfolio.statement_tables import Cell, SheetTable, notes, tables

INK, FAINT, RULE, WRONG = (colors.HexColor(c) for c in ("#1d2433", "#5b6475", "#c9d0db", "#b3261e"))
TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=7.5, leading=9.5, textColor=INK)
HEAD = ParagraphStyle("head", parent=TEXT, fontName="Helvetica-Bold", textColor=FAINT)
HEAD_NUMBER = ParagraphStyle("head number", parent=HEAD, alignment=2)
SECTION = ParagraphStyle("section", parent=TEXT, fontName="Helvetica-Bold", fontSize=10, leading=14)
TITLE = ParagraphStyle("title", parent=TEXT, fontName="Helvetica-Bold", fontSize=15, leading=19)
NOTE = ParagraphStyle("note", parent=TEXT, textColor=FAINT)
MARGIN = 14 * mm


def as_pdf(statement: Statement) -> bytes:
    """A landscape A4 document; the same statement gives the same bytes."""
    out = io.BytesIO()
    page = landscape(A4)
    document = SimpleDocTemplate(
        out,
        pagesize=page,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=f"Statement of {statement.subject}, {statement.day.isoformat()}",
        author="Alpha Panda",
        invariant=1,
    )
    story: list[Flowable] = [
        Paragraph(escape(f"Statement of {statement.subject}"), TITLE),
        Paragraph(f"{statement.day:%A, %d %B %Y} · {escape(statement.broker)}", TEXT),
        Spacer(1, 3 * mm),
    ]
    for part in tables(statement):
        story += [
            Paragraph(escape(part.title), SECTION),
            _sheet(part, page[0] - 2 * MARGIN),
            Spacer(1, 4 * mm),
        ]
    story += [Paragraph(escape(note), NOTE) for note in notes(statement)]
    document.build(story, onFirstPage=_footer, onLaterPages=_footer)
    return out.getvalue()


def _sheet(part: SheetTable, width: float) -> Flowable:
    if not part.rows:
        return Paragraph("None.", NOTE)
    head = [Paragraph(escape(c.name), HEAD_NUMBER if c.is_number else HEAD) for c in part.columns]
    body = [
        [_shown(cell, c.is_number) for cell, c in zip(row, part.columns, strict=True)]
        for row in all_rows(part)
    ]
    sheet = Table([head, *body], colWidths=_widths(part, width), repeatRows=1, hAlign="LEFT")
    sheet.setStyle(TableStyle(_style(part)))
    return sheet


def _shown(cell: Cell, is_number: bool) -> Flowable | str:
    """Texts may break, numbers never do."""
    return shown(cell) if is_number else Paragraph(escape(shown(cell)), TEXT)


def _widths(part: SheetTable, width: float) -> list[float]:
    """Numbers get what the longest needs, texts share what is left, up to what they need."""
    needed = []
    for number, column in enumerate(part.columns):
        cells = [shown(row[number]) for row in all_rows(part)]
        needed.append(max(len(text) for text in (column.name, *cells)) * 4.3 + 10)
    texts = [number for number, column in enumerate(part.columns) if not column.is_number]
    over = sum(needed) - width
    if over > 0 and texts:
        of_texts = sum(needed[number] for number in texts)
        for number in texts:
            needed[number] -= over * needed[number] / of_texts
    return needed


def _style(part: SheetTable) -> list[tuple[Any, ...]]:
    style: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), "Helvetica", TEXT.fontSize, TEXT.leading),
        ("TEXTCOLOR", (0, 0), (-1, -1), INK),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, RULE),
        ("LINEBELOW", (0, 1), (-1, -1), 0.25, RULE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        *(("ALIGN", (n, 1), (n, -1), "RIGHT") for n, column in enumerate(part.columns) if column.is_number),
    ]
    if part.total:
        style.append(("FONT", (0, -1), (-1, -1), "Helvetica-Bold", TEXT.fontSize, TEXT.leading))
        style.append(("LINEABOVE", (0, -1), (-1, -1), 0.8, RULE))
    wrong = [number for number, row in enumerate(part.rows, start=1) if row[-1] == "DIFFERS"]
    return style + [("TEXTCOLOR", (0, number), (-1, number), WRONG) for number in wrong]


def _footer(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont("Helvetica", 7)
    canvas.setFillColor(FAINT)
    canvas.drawString(MARGIN, MARGIN / 2, document.title)
    canvas.drawRightString(document.pagesize[0] - MARGIN, MARGIN / 2, f"page {canvas.getPageNumber()}")
    canvas.restoreState()
