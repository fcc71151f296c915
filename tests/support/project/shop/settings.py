"""Settings of a small shop: narrow hosts, HTTPS only, persistent PostgreSQL connections, its own broker."""

import os

SECRET_KEY = "not secret: the shop is a test"
DEBUG = False
ALLOWED_HOSTS = ["shop.example"]
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
ROOT_URLCONF = "shop.urls"
USE_TZ = True

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
INSTALLED_APPS += ["monitor"]
if os.environ.get("SHOP_KEEPS_SCHEDULE_IN_DATABASE"):
    INSTALLED_APPS += ["django_celery_beat"]

MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": os.environ["SHOP_POSTGRES_PORT"],
        "USER": os.environ["SHOP_POSTGRES_USER"],
        "PASSWORD": os.environ["SHOP_POSTGRES_PASSWORD"],
        "NAME": "monitor",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
}

CELERY_BROKER_URL = os.environ["SHOP_BROKER_URL"]
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_TASK_DEFAULT_QUEUE = "shop"
CELERY_TASK_SERIALIZER = "json"
CELERY_BEAT_SCHEDULE = {"restock-every-second": {"task": "shop.tasks.restock", "schedule": 1.0}}

MONITOR = {"defaults": {"interval": "2s"}}
