"""Django settings: every knob comes from `alphapanda.env`, strict and secure by default."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import environ
from django.templatetags.static import static

from alphapanda import env, logs
from alphapanda.embedded import places

values: dict[str, Any] = env.load(os.environ, dotenv=env.ROOT / ".env")

BASE_DIR = env.ROOT
RUN_DIR = values["RUN_DIR"]
DATA = values["DATA"]
EMBEDDED = env.is_embedded(values)
# as configured; `manage.py up` starts an embedded server where one is empty
ADDRESSES = {
    "postgres": values["DATABASE_URL"],
    "redis": values["REDIS_URL"],
    "kafka": values["KAFKA_BOOTSTRAP"],
}
DEBUG = values["DEBUG"]
SECRET_KEY = values["SECRET_KEY"]
HOST = values["HOST"]
PORT = values["PORT"]
FAILPOINT_DIR = values["FAILPOINT_DIR"]
START_OF_DAY_REQUIRED = values["START_OF_DAY_REQUIRED"]
ALERT_PAUSES_MINUTES = values["ALERT_PAUSES_MINUTES"]
LEASE_SECONDS = values["LEASE_SECONDS"]

# --- what trades, and where its ticks come from

SHARDS = values["SHARDS"]
TRADING_WORKERS = values["TRADING_WORKERS"]
BROKERS = values["BROKERS"]
ZERODHA_ENABLED = values["ZERODHA_ENABLED"]
LIVE_TRADING = values["LIVE_TRADING"]
KITE_API_URL = values["KITE_API_URL"]
KITE_LOGIN_URL = values["KITE_LOGIN_URL"]
KITE_WS_URL = values["KITE_WS_URL"]
KITE_BCD_DIVISOR = values["KITE_BCD_DIVISOR"]
KITE_ARCHIVE = values["KITE_ARCHIVE"]
CREDENTIAL_KEYS = values["CREDENTIAL_KEYS"]
FEED = values["FEED"]
FEED_SPEED = values["FEED_SPEED"]
FEED_FILES = values["FEED_FILES"]
FEED_INSTRUMENTS = values["FEED_INSTRUMENTS"]
FEED_CLOCK = values["FEED_CLOCK"]
FEED_BATCH_ITEMS = values["FEED_BATCH_ITEMS"]
INSTRUMENTS = values["INSTRUMENTS"]
DEPLOYMENTS = values["DEPLOYMENTS"]
STRATEGIES = values["STRATEGIES"]
STRATEGY_SECONDS = values["STRATEGY_SECONDS"]

# --- the log (its address: env.kafka_bootstrap(), because an embedded broker's is known when it runs)

KAFKA_BOOTSTRAP = values["KAFKA_BOOTSTRAP"]
KAFKA_EMBEDDED = KAFKA_BOOTSTRAP == ""
OUTBOX_KEEP_DAYS = values["OUTBOX_KEEP_DAYS"]
TOPIC_PREFIX = values["TOPIC_PREFIX"]
TICK_PARTITIONS = values["TICK_PARTITIONS"]
TOPIC_PARTITIONS = values["TOPIC_PARTITIONS"]
TOPIC_RETENTION_HOURS = values["TOPIC_RETENTION_HOURS"]
TOPIC_REPLICATION = values["TOPIC_REPLICATION"]
BATCH_ITEMS = values["BATCH_ITEMS"]

# --- applications

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # the site itself is alphapanda.site, which audits
    "unfold.contrib.filters",
    "alphapanda.apps.DeskAdminConfig",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "pgtrigger",
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
    "alphapanda.apps.AlphapandaConfig",
    "alphapanda.eventlog.apps.EventlogConfig",
    "accounts.apps.AccountsConfig",
    "django.contrib.auth",  # after accounts, whose audited `changepassword` replaces its own
    "marketdata.apps.MarketdataConfig",
    "portfolio.apps.PortfolioConfig",
    "strategies.apps.StrategiesConfig",
    "risk.apps.RiskConfig",
    "execution.apps.ExecutionConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "alphapanda.web.static.StaticMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # within the one before, which compresses its own once
    "alphapanda.web.csp.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # last: it answers for a lock-out that the view met
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
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Asia/Kolkata"
LANGUAGE_CODE = "en-in"
FORMAT_MODULE_PATH = ["alphapanda.web.locales"]  # dates and times as everywhere else

# --- database

DATABASES = {
    "default": environ.Env.db_url_config(values["DATABASE_URL"])
    if values["DATABASE_URL"]
    else {"NAME": "postgres", "USER": "postgres", "HOST": str(places.postgres_socket_dir(RUN_DIR))}
}
DATABASES["default"] |= {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": None,  # workers keep theirs; a dead one is found by the health check
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        **DATABASES["default"].get("OPTIONS", {}),
        "connect_timeout": 5,
        "application_name": "alphapanda",
        "server_side_binding": True,
        "prepare_threshold": 5,
        "options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
    },
}

# --- redis: doorbells, channel layer, cache. All of it may be lost at any time.

REDIS_URL = values["REDIS_URL"] or f"unix://{places.redis_socket(RUN_DIR)}"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "alphapanda",
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # a full channel drops the newest message; screens are right without any push
        "CONFIG": {"hosts": [REDIS_URL], "capacity": 50, "expiry": 5, "group_expiry": 86400},
    }
}

# --- celery: a message is a doorbell. The sweeper rings again, so nothing here tries to make it durable.

# kombu has its own spelling for a unix socket and for the number of the database on it
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SOFT_TIME_LIMIT = 20
CELERY_TASK_TIME_LIMIT = 30
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "trading"
CELERY_TASK_CREATE_MISSING_QUEUES = True  # strategies.N are named by who rings
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_POOL = "solo"
CELERY_WORKER_CONCURRENCY = 1
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TASK_SEND_SENT_EVENT = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 1
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # a second copy in Redis of each message that is worked on: a third of a shard's time, and the sweeper rings anyway
    "ack_emulation": False,
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "retry_on_timeout": False,
    "max_retries": 0,
}
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # in memory: the shelve file breaks on SIGKILL
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    # the tick stream sweeps twice a second; this one stands in for it while it is down
    "sweep": {"task": "execution.sweep", "schedule": 5.0, "options": {"expires": 5}},
    "watch": {"task": "alphapanda.watch", "schedule": 5.0, "options": {"expires": 5}},
    "audit": {"task": "alphapanda.audit", "schedule": 600.0, "options": {"expires": 600}},
    "backtests": {
        "task": "alphapanda.backtests",
        "schedule": 5.0,
        "options": {"expires": 5, "queue": "research"},
    },
    "backfills": {
        "task": "alphapanda.backfills",
        "schedule": 5.0,
        "options": {"expires": 5, "queue": "research"},
    },
    # its own worker: no service that is slow to answer, and no backtest, may hold up an alert
    "tell": {"task": "risk.tell", "schedule": 5.0, "options": {"expires": 5, "queue": "alerts"}},
    "prune": {"task": "alphapanda.prune", "schedule": 3600.0, "options": {"expires": 3600}},
}

# --- people and browsers

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ALLOWED_HOSTS = values["ALLOWED_HOSTS"]
ALLOWED_ORIGINS = values["ALLOWED_ORIGINS"]
CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS
CSRF_COOKIE_HTTPONLY = False  # htmx-style forms of our own pages read it
# Strict would stay behind on the way back from Kite's login: the page then makes a new one, and pages that were open
# before can neither halt nor flatten
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = not EMBEDDED
SESSION_COOKIE_SECURE = not EMBEDDED
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SECURE_PROXY_SSL_HEADER = None if EMBEDDED else ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 0 if EMBEDDED else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not EMBEDDED
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # serves from the source folders, so there is nothing to collect
WHITENOISE_AUTOREFRESH = DEBUG

# --- web: login, tokens, REST, admin, content security policy

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: a lock-out is decided before any password is looked at
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = "accounts.lockout.counted_by"
AXES_USERNAME_CALLABLE = "accounts.lockout.name_of"
AXES_LOCKOUT_CALLABLE = "alphapanda.errors.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False  # registered by accounts.admin
AXES_VERBOSE = False

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.key_access.KeyAuthentication",  # first: it takes the bearers that are keys, and leaves the others
        "accounts.tokens.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["alphapanda.web.permissions.HasRequiredRole"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["alphapanda.web.parsers.StrictJson"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "alphapanda.web.pages.Page",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["alphapanda.web.throttles.Anonymous", "alphapanda.web.throttles.Known"],
    "NUM_PROXIES": 0,  # the address is the web server's to tell: a stranger writes any X-Forwarded-For
    "DEFAULT_THROTTLE_RATES": {"anon": "60/min", "user": "1200/min", "token": "20/min"},
    "EXCEPTION_HANDLER": "alphapanda.web.errors.handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT: dict[str, Any] = {
    "SIGNING_KEY": values["JWT_KEY"],
    "ALGORITHM": "HS256",
    "AUDIENCE": "alphapanda-api",
    "ISSUER": "alphapanda",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": timedelta(hours=12),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "CHECK_REVOKE_TOKEN": True,
    "CHECK_USER_IS_ACTIVE": True,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Alpha Panda",
    "DESCRIPTION": (
        "Prices and money are decimal text in rupees, times ISO 8601 in IST, quantities whole numbers. "
        "Every error is {error: {code, message, fields}}."
    ),
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["alphapanda.web.permissions.HasRequiredRole"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "BrokerEnum": "strategies.models.TRADING_BROKERS",
        "KeyScopeEnum": "accounts.models.ApiKey.Scope",
        "HaltLevelEnum": "alphapanda.core.vocabulary.HaltLevel",
        "LimitLevelEnum": "alphapanda.core.vocabulary.LimitLevel",
        "BacktestKindEnum": "strategies.models.BacktestRun.Kind",
        "BacktestStateEnum": "strategies.models.BacktestRun.State",
        "SignalStateEnum": "strategies.models.Signal.State",
        "ApprovalStateEnum": "strategies.models.Approval.State",
        "CallStateEnum": "execution.gtt_models.CallState",
        "OrderStatusEnum": "execution.models.STATUSES",
        "SignalKindEnum": "alphapanda.core.vocabulary.SignalKind",
        "SeverityEnum": "alphapanda.core.vocabulary.Severity",
        "DeliveryStateEnum": "risk.channel_models.AlertDelivery.State",
        "DeadLetterStateEnum": "alphapanda.eventlog.models.DeadLetter.State",
    },
}
CSP_PAGES = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],  # and the websockets of this host: alphapanda.web.csp
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}
CSP_ADMIN = CSP_PAGES | {  # Unfold's Alpine evaluates expressions and styles inline
    "script-src": ["'self'", "'unsafe-inline'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:"],
}
CONTENT_SECURITY_POLICY: dict[str, Any] = {"DIRECTIVES": CSP_PAGES}
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Alpha Panda",
    "SITE_HEADER": "Alpha Panda",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_ICON": lambda _request: static("img/panda.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("img/panda.svg")}
    ],
    "SIDEBAR": {"show_search": True, "show_all_applications": True},
}

LOGGING_CONFIG = None
LOG_FORMAT = values["LOG_FORMAT"]
LOG_LEVEL = values["LOG_LEVEL"]
logs.configure(
    style=LOG_FORMAT,
    level=LOG_LEVEL,
    error_file=RUN_DIR / "logs" / "error.log",
    secrets=env.secret_values(values),
)
