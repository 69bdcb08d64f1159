"""The Celery application: doorbells that carry ids only."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import structlog
from celery import Celery, signals
from django.db import close_old_connections

# as root Celery warns of pickled messages; ours are JSON only
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alphapanda.settings")

app = Celery("alphapanda")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Celery would close the database connection before and after each task, and a new one costs more than most tasks
# do; Django's own rule closes those that are of no use any more.
app.conf["CELERY_DB_REUSE_MAX"] = sys.maxsize
app.autodiscover_tasks()


@signals.setup_logging.connect
def _keep_logging(**_given: Any) -> None:
    """Celery configures no logging where somebody answers this signal; `alphapanda.logs` has done it."""


@signals.task_prerun.connect
def _bind(*, task_id: str, task: Any, **_given: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)
    if not task.request.is_eager:
        close_old_connections()


@signals.task_postrun.connect
def _unbind(**_given: Any) -> None:
    structlog.contextvars.clear_contextvars()
