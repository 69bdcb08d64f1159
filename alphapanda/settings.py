"""Django settings: every knob comes from `alphapanda.env`."""

from __future__ import annotations

from alphapanda import env

BASE_DIR = env.ROOT
RUN_DIR = env.run_dir()
SECRET_KEY = env.text("SECRET_KEY", "embedded-only")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "pgtrigger",
    "rest_framework",
    "alphapanda.apps.AlphapandaConfig",
    "alphapanda.eventlog.apps.EventlogConfig",
    "accounts.apps.AccountsConfig",
    "marketdata.apps.MarketdataConfig",
    "portfolio.apps.PortfolioConfig",
    "strategies.apps.StrategiesConfig",
    "risk.apps.RiskConfig",
    "execution.apps.ExecutionConfig",
]
AUTH_USER_MODEL = "accounts.User"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "alphapanda.urls"
ASGI_APPLICATION = "alphapanda.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": str(RUN_DIR / "postgres"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Asia/Kolkata"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = RUN_DIR / "static"

KAFKA_BOOTSTRAP = env.kafka_bootstrap()
KAFKA_EMBEDDED = KAFKA_BOOTSTRAP == ""
TOPIC_PREFIX = env.text("TOPIC_PREFIX")
TICK_PARTITIONS = env.integer("TICK_PARTITIONS", 4)
TOPIC_PARTITIONS = env.integer("TOPIC_PARTITIONS", 4)
TOPIC_RETENTION_HOURS = env.integer("TOPIC_RETENTION_HOURS", 168)
TOPIC_REPLICATION = env.integer("TOPIC_REPLICATION", 1)
OUTBOX_KEEP_DAYS = env.integer("OUTBOX_KEEP_DAYS", 14)
