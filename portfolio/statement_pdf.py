"""Statements for people: PDF, to the paisa."""

from __future__ import annotations

import io
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from portfolio.domain.statement import Statement
from portfolio.statement_files import all_rows, shown
from portfolio.statement_tables import DIFFERS, NOTE_ON_AMOUNTS, Cell, SheetTable, tables, warnings

INK, FAINT, RULE, WRONG = (colors.HexColor(c) for c in ("#1d2433", "#5b6475", "#c9d0db", "#b3261e"))
TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=7.5, leading=9.5, textColor=INK)
HEAD = ParagraphStyle("head", parent=TEXT, fontName="Helvetica-Bold", textColor=FAINT)
HEAD_NUMBER = ParagraphStyle("head number", parent=HEAD, alignment=2)
SECTION = ParagraphStyle("section", parent=TEXT, fontName="Helvetica-Bold", fontSize=10, leading=14)
TITLE = ParagraphStyle("title", parent=TEXT, fontName="Helvetica-Bold", fontSize=15, leading=19)
TOTAL = ParagraphStyle("total", parent=TEXT, fontName="Helvetica-Bold")
WARNING = ParagraphStyle("warning", parent=TEXT, fontName="Helvetica-Bold", textColor=WRONG, spaceBefore=3)
NOTE = ParagraphStyle("note", parent=TEXT, textColor=FAINT)
MARGIN = 14 * mm
FRAME_PADDING = 6.0  # points; reportlab keeps it around every frame
PADDING = 10.0  # points, of both sides of a cell
TITLE_LEAST = 25 * mm  # of the page that must be left below a title
TEXT_LEAST = 50.0  # points below which no column of texts is pressed


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
        Paragraph(
            f"{statement.day:%A, %d %B %Y} · {escape(statement.broker)} · amounts in rupees, times in IST",
            TEXT,
        ),
        *(Paragraph(escape(told), WARNING) for told in warnings(statement)),
        Spacer(1, 3 * mm),
    ]
    for part in tables(statement):
        story.append(CondPageBreak(TITLE_LEAST))
        story += [
            Paragraph(escape(part.title), SECTION),
            _sheet(part, document.width - 2 * FRAME_PADDING),
            Spacer(1, 4 * mm),
        ]
    story.append(Paragraph(escape(NOTE_ON_AMOUNTS), NOTE))
    document.build(story, onFirstPage=_footer, onLaterPages=_footer)
    return out.getvalue()


def _sheet(part: SheetTable, width: float) -> Flowable:
    if not part.rows:
        return Paragraph("None.", NOTE)
    head = [Paragraph(escape(c.name), HEAD_NUMBER if c.is_number else HEAD) for c in part.columns]
    body = [_row(part, row, TEXT) for row in part.rows]
    if part.total:
        body.append(_row(part, part.total, TOTAL))
    sheet = Table([head, *body], colWidths=_widths(part, width), repeatRows=1, hAlign="LEFT")
    sheet.setStyle(TableStyle(_style(part)))
    return sheet


def _row(part: SheetTable, row: tuple[Cell, ...], style: ParagraphStyle) -> list[Flowable | str]:
    return [_shown(cell, column.is_number, style) for cell, column in zip(row, part.columns, strict=True)]


def _shown(cell: Cell, is_number: bool, style: ParagraphStyle) -> Flowable | str:
    """Texts may break, numbers never do."""
    if is_number:
        return shown(cell)
    return Paragraph(escape(shown(cell)), WARNING if cell == DIFFERS else style)


def _widths(part: SheetTable, width: float) -> list[float]:
    """Each column gets what its longest cell needs; where that is too much the widest texts give way."""
    needed = [_needed(part, number) for number in range(len(part.columns))]
    texts = [number for number, column in enumerate(part.columns) if not column.is_number]
    most = max((needed[number] for number in texts), default=0.0)
    while sum(needed) > width and most > TEXT_LEAST:
        most -= 1
        for number in texts:
            needed[number] = min(needed[number], most)
    return needed


def _needed(part: SheetTable, number: int) -> float:
    cells = [shown(row[number]) for row in all_rows(part)]
    # as wide as bold, for heads and totals are
    return PADDING + max(
        stringWidth(text, HEAD.fontName, TEXT.fontSize) for text in (part.columns[number].name, *cells)
    )


def _style(part: SheetTable) -> list[tuple[Any, ...]]:
    style: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), "Helvetica", TEXT.fontSize, TEXT.leading),
        ("TEXTCOLOR", (0, 0), (-1, -1), INK),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, RULE),
        ("LINEBELOW", (0, 1), (-1, -1), 0.25, RULE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), PADDING / 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), PADDING / 2),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        *(("ALIGN", (n, 1), (n, -1), "RIGHT") for n, column in enumerate(part.columns) if column.is_number),
    ]
    if part.total:
        style.append(("FONT", (0, -1), (-1, -1), "Helvetica-Bold", TEXT.fontSize, TEXT.leading))
        style.append(("LINEABOVE", (0, -1), (-1, -1), 0.8, RULE))
    wrong = [number for number, row in enumerate(part.rows, start=1) if row[-1] == DIFFERS]
    return style + [("TEXTCOLOR", (0, number), (-1, number), WRONG) for number in wrong]


def _footer(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont("Helvetica", 7)
    canvas.setFillColor(FAINT)
    canvas.drawString(MARGIN + FRAME_PADDING, MARGIN / 2, document.title)
    canvas.drawRightString(
        document.pagesize[0] - MARGIN - FRAME_PADDING, MARGIN / 2, f"page {canvas.getPageNumber()}"
    )
    canvas.restoreState()
