"""What a run's command that is part of the site may see of the environment: what the site itself needs."""

from config.environment import SETTINGS

SITE_ENVIRONMENT = (
    "DJANGO_SETTINGS_MODULE",
    *(setting.variable for setting in SETTINGS.values()),
    *(f"ROUNDTABLE_{setting.older_name}" for setting in SETTINGS.values() if setting.older_name),
)
