"""Every form of a run says what its options are in the reader's language."""

import re

from django.utils import translation

from config.option_texts import option_texts
from policy_training.dpo.forms import TrainDPOForm
from policy_training.forms import EvaluatePolicyForm, LanguageModelForm, SampleForm
from policy_training.merging import MergeForm
from policy_training.rewarded.forms import RewardedForm
from rewardmodel.forms import EvaluateRewardModelForm, TrainRewardModelForm
from rounds import plan_options
from rounds.ppo_options import SECTIONS
from runs.option_forms.forms import PresetForm

FORMS = (
    TrainRewardModelForm, EvaluateRewardModelForm, LanguageModelForm, SampleForm, EvaluatePolicyForm, TrainDPOForm,
    MergeForm, *RewardedForm.__subclasses__(),
)  # fmt: skip


def leaves(form):
    return [leaf for below in form.__subclasses__() for leaf in leaves(below)] or [form]


def test_no_form_shows_a_text_that_is_not_in_the_catalogues():
    known = {text for _, text in option_texts()}
    forms = {leaf for form in (PresetForm, *FORMS) for leaf in leaves(form)}
    assert len(forms) > 8
    shown = set()
    for sections in (SECTIONS, plan_options.SECTIONS, *(form.sections for form in forms)):
        for section in sections:
            shown |= {section.label, section.note, *(option.help for option in section.options)}
    sources = set()
    for form in forms:
        for preset in form.presets.values():
            shown |= set(preset.comments.values())
            sources.add(preset.source)
    assert {text for text in shown if re.search("[a-z]{2}", text)} <= known
    with translation.override("es"):
        # Those that a form names itself are marked there; a name of a paper is the same everywhere.
        same = {text for text in sources if text not in known and translation.gettext(text) == text}
    assert same == set()
