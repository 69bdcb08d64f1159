"""The Celery application: doorbells that carry ids only."""

from __future__ import annotations

import os
import warnings
from typing import Any

import structlog
from celery import Celery, signals

# as root Celery warns of pickled messages; ours are JSON only
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alphapanda.settings")

app = Celery("alphapanda")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def _keep_logging(**_given: Any) -> None:
    """Celery configures no logging where somebody answers this signal; `alphapanda.logs` has done it."""


@signals.task_prerun.connect
def _bind(*, task_id: str, task: Any, **_given: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)


@signals.task_postrun.connect
def _unbind(**_given: Any) -> None:
    structlog.contextvars.clear_contextvars()
