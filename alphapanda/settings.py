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
    "csp",
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
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "alphapanda.web.csp.PolicyMiddleware",
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

# ---- cockpit: redis, channel layer, content security policy ----------------------------------------------
REDIS_URL = env.text("REDIS_URL", f"unix://{RUN_DIR / 'redis.sock'}")
ALLOWED_ORIGINS: list[str] = []  # empty: the origin that the page itself was served from
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # a push is a hint: little is kept, and not for long
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "panda", "capacity": 50, "expiry": 5},
    }
}
LOGIN_URL = "/login/"
CSP_PAGES = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}
CSP_ADMIN = CSP_PAGES | {
    "script-src": ["'self'", "'unsafe-inline'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:"],
}
CONTENT_SECURITY_POLICY = {"DIRECTIVES": CSP_PAGES}
WHITENOISE_USE_FINDERS = True
# ---- end of cockpit ---------------------------------------------------------------------------------------
