"""The web process as it is, on the database of a test: `python -m tests.browser.serving DATABASE`."""

from __future__ import annotations

import os
import sys


def serve(database: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "alphapanda.settings"
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from alphapanda import processes

    processes.web()


if __name__ == "__main__":
    serve(sys.argv[1])
