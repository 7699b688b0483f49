from django.urls import path

from events.api import feed, webhooks

project_urlpatterns = [
    path("events", feed.Events.as_view()),
    path("webhooks", webhooks.Webhooks.as_view()),
    path("webhooks/<int:pk>", webhooks.OneWebhook.as_view()),
    path("webhooks/<int:pk>/secret", webhooks.WebhookSecret.as_view()),
    path("webhooks/<int:pk>/test", webhooks.WebhookTest.as_view()),
    path("deliveries", webhooks.Deliveries.as_view()),
    path("deliveries/<int:pk>", webhooks.OneDelivery.as_view()),
    path("deliveries/<int:pk>/try-now", webhooks.TryNow.as_view()),
    path("deliveries/<int:pk>/give-up", webhooks.GiveUp.as_view()),
    path("deliveries/<int:pk>/resend", webhooks.Resend.as_view()),
    path("deliveries/<int:pk>/drop", webhooks.Drop.as_view()),
]
