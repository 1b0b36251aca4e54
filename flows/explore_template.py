"""The frame of the page of `huzhu explore`: HTML that names where each part stands.

Fonts are those of the machine, and every script comes from the server: nothing is fetched from
elsewhere.
"""

from typing import Final

TEMPLATE: Final = """
{% extends base %}
{% block title %}{{ name | e }} – huzhu explore{% endblock %}
{% block postamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  html, body { background: {{ page_colour }} !important; color: {{ look.ink }};
    font-family: system-ui, "Segoe UI", "Noto Sans", sans-serif; font-size: 14px; height: auto; }
  :root { --panel-background-color: {{ look.paper }}; --panel-on-background-color: {{ look.ink }};
    --panel-primary-color: {{ look.series.point }}; --panel-border-color: {{ look.grid }};
    --panel-surface-color: {{ look.paper }}; --panel-on-surface-color: {{ look.ink }}; }
  header { display: flex; align-items: baseline; gap: 14px; padding: 14px 22px; flex-wrap: wrap;
    background: {{ look.paper }}; border-bottom: 1px solid {{ look.grid }}; }
  header h1 { font-size: 17px; margin: 0; font-weight: 600; }
  header .subject { color: {{ look.soft }}; }
  header .state { margin-left: auto; color: {{ look.soft }}; }
  header .state.unfinished { color: {{ look.bad }}; font-weight: 600; }
  header a { color: {{ look.series.point }}; text-decoration: none; }
  .page { display: grid; grid-template-columns: 290px minmax(0, 1fr); gap: 18px;
    padding: 18px 22px; max-width: 1600px; margin: 0 auto; }
  aside section, main section { background: {{ look.paper }}; border: 1px solid {{ look.grid }};
    border-radius: 8px; }
  aside section { padding: 12px 8px; margin-bottom: 14px; }
  h2 { font-size: 13px; font-weight: 600; margin: 0 10px 6px; }
  h2 small { color: {{ look.soft }}; font-weight: 400; margin-left: 6px; }
  main { display: grid; gap: 14px; align-content: start; min-width: 0; }
  main section { padding: 12px 12px 8px; min-width: 0; }
  main section h2 { margin: 0 0 6px 4px; display: flex; align-items: center; min-height: 26px; }
  .charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; }
  .scroll { overflow-x: auto; }
  @media (max-width: 1000px) { .page, .charts { grid-template-columns: minmax(0, 1fr); } }
</style>
{% endblock %}
{% block contents %}
<header>
  <h1>{{ name | e }}</h1><span class="subject">{{ subject | e }}</span>
  <span class="state{% if unfinished %} unfinished{% endif %}">{{ run_state | e }}</span>
  <a href="?theme={{ other }}">{{ other }}</a>
</header>
<div class="page">
  <aside>
    <section><h2>{% if swept %}Settings{% else %}The one point{% endif %}</h2>
      {{ embed(roots.choice) }}</section>
    <section><h2>What if</h2>{{ embed(roots.form) }}</section>
  </aside>
  <main>
    {{ embed(roots.cards) }}
    <section>{{ embed(roots.legend) }}</section>
    <div class="charts">
      <section><h2>Share <small>yuan per payer, a period</small></h2>
        {{ embed(roots.share) }}</section>
      <section><h2>Members</h2>{{ embed(roots.members) }}</section>
      <section><h2>{{ embed(roots.quantity) }}</h2>{{ embed(roots.third) }}</section>
      <section><h2>Open <small>part of the paths on which the pool is</small></h2>
        {{ embed(roots.survival) }}</section>
      <section><h2>Who leaves, and why <small>members a period, the point shown</small></h2>
        {{ embed(roots.lapses) }}{{ embed(roots.cause_legend) }}</section>
      <section><h2>Who left, and why <small>side by side</small></h2>
        {{ embed(roots.causes) }}</section>
    </div>
    <section class="scroll"><h2>Outcomes
      <small>mean ± standard error; differences path by path, on the paths that both have,
        with 95 % intervals</small></h2>
      {{ embed(roots.table) }}</section>
  </main>
</div>
{% endblock %}
"""
