from django.apps import AppConfig


class PolicyTrainingConfig(AppConfig):
    name = "policy_training"
    verbose_name = "Policies"
