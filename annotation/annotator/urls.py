from django.urls import path

from annotation.annotator import conversations, endpoints, history, pages

urlpatterns = [
    path("", pages.overview, name="overview"),
    path("work/", pages.annotate, name="annotate"),
    path("history/", history.own_history, name="own_history"),
    path("guideline/", pages.guideline, name="guideline"),
    path("guideline/confirm/", endpoints.acknowledge, name="acknowledge"),
    path("opt-outs/", pages.opt_outs, name="opt_outs"),
    path("training/<int:pk>/", pages.own_training, name="own_training"),
    path("training/<int:pk>/try/", pages.begin_training_try, name="begin_training_try"),
    path("score/", pages.own_score, name="own_score"),
    path("next/", endpoints.next_task, name="next_task"),
    path("refresh-csrf/", endpoints.refresh_csrf, name="refresh_csrf"),
    path("tasks/<uuid:public_id>/", pages.task, name="task"),
    path("tasks/<uuid:public_id>/content/", endpoints.task_content, name="task_content"),
    path("tasks/<uuid:public_id>/draft/", endpoints.draft, name="draft"),
    path("tasks/<uuid:public_id>/submit/", endpoints.submit, name="submit"),
    path("tasks/<uuid:public_id>/feedback/", endpoints.feedback, name="feedback"),
    path("tasks/<uuid:public_id>/skip/", endpoints.skip, name="skip"),
    path("tasks/<uuid:public_id>/question/", endpoints.ask, name="ask"),
    path("tasks/<uuid:public_id>/undo-skip/", endpoints.undo_skip, name="undo_skip"),
    path("tasks/<uuid:public_id>/withdraw/", endpoints.withdraw, name="withdraw"),
    path("conversations/", conversations.conversations, name="conversations"),
    path("conversations/start/<int:pk>/", conversations.start, name="start_conversation"),
    path("conversations/<uuid:public_id>/", conversations.conversation, name="conversation"),
    path("conversations/<uuid:public_id>/state/", conversations.state, name="conversation_state"),
    path("conversations/<uuid:public_id>/message/", conversations.message, name="conversation_message"),
    path("conversations/<uuid:public_id>/again/", conversations.again, name="conversation_again"),
    path("conversations/<uuid:public_id>/one/", conversations.one, name="conversation_one"),
    path("conversations/<uuid:public_id>/end/", conversations.end, name="conversation_end"),
]
