from django.urls import path

from events import views

app_name = "events"

urlpatterns = [
    path("", views.events, name="list"),
    path("webhooks/", views.webhooks, name="webhooks"),
    path("webhooks/<int:pk>/", views.webhook, name="webhook"),
    path("webhooks/<int:pk>/on/", views.turn_on, name="turn_on"),
    path("webhooks/<int:pk>/off/", views.turn_off, name="turn_off"),
    path("webhooks/<int:pk>/test/", views.send_test, name="send_test"),
    path("webhooks/<int:pk>/secret/", views.replace_secret, name="replace_secret"),
    path("webhooks/<int:pk>/resend/", views.resend_all, name="resend_all"),
    path("webhooks/<int:pk>/remove/", views.remove, name="remove"),
    path("dead-letters/", views.dead_letters, name="dead_letters"),
    path("deliveries/<int:pk>/try-now/", views.try_now, name="try_now"),
    path("deliveries/<int:pk>/give-up/", views.give_up, name="give_up"),
    path("deliveries/<int:pk>/resend/", views.resend, name="resend"),
    path("deliveries/<int:pk>/drop/", views.drop, name="drop"),
]
