"""Django settings: every knob comes from `alphapanda.env`."""

from __future__ import annotations

from datetime import timedelta

from alphapanda import env

BASE_DIR = env.ROOT
RUN_DIR = env.run_dir()
SECRET_KEY = env.text("SECRET_KEY", "embedded-only")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # the site itself is alphapanda.site, which audits
    "unfold.contrib.filters",
    "alphapanda.apps.DeskAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
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
    "marketdata.apps.MarketdataConfig",
    "portfolio.apps.PortfolioConfig",
    "strategies.apps.StrategiesConfig",
    "risk.apps.RiskConfig",
    "execution.apps.ExecutionConfig",
]
AUTH_USER_MODEL = "accounts.User"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "alphapanda.web.csp.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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

# ---- web: login, tokens, REST, admin, content security policy -------------------------------------------
JWT_KEY = env.text("JWT_KEY", "embedded-only-key-of-32-bytes-and-more")
ZERODHA_ENABLED = False  # until the broker is switched on, no zerodha deployment starts
HEALTH_PATH = "/health/ready/"  # whose answer /api/v1/health/ repeats

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: a lock-out is decided before any password is looked at
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = ["username"]  # however many addresses a guesser has; open sessions are not touched
SILENCED_SYSTEM_CHECKS = ["axes.W006"]  # it wants the address too, which gives a guesser more tries
AXES_LOCKOUT_CALLABLE = "alphapanda.errors.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False  # registered by accounts.admin
AXES_VERBOSE = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.tokens.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["alphapanda.web.permissions.HasRequiredRole"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "alphapanda.web.pages.Page",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["alphapanda.web.throttles.Anonymous", "alphapanda.web.throttles.Known"],
    "DEFAULT_THROTTLE_RATES": {"anon": "60/min", "user": "1200/min", "token": "20/min"},
    "EXCEPTION_HANDLER": "alphapanda.web.errors.handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT = {
    "SIGNING_KEY": JWT_KEY,
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
SPECTACULAR_SETTINGS = {
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
        "SignalStateEnum": "strategies.models.Signal.State",
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
CONTENT_SECURITY_POLICY = {"DIRECTIVES": CSP_PAGES}
UNFOLD = {
    "SITE_TITLE": "Alpha Panda",
    "SITE_HEADER": "Alpha Panda",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"show_search": True, "show_all_applications": True},
}
# ---- end of web -------------------------------------------------------------------------------------------
