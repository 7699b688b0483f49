from django.apps import AppConfig


class RoundsConfig(AppConfig):
    name = "rounds"
    verbose_name = "Rounds"

    def ready(self) -> None:
        """Hands policies to live conversations, which know none."""
        from annotation.conversation.generation import use_generator
        from policy_training.serving.generator import PolicyGenerator

        use_generator(PolicyGenerator())
