"""Reports: an assessment printed for people and for pipelines, one reporter a file.

```
html        the report as one self-contained page for the screen
pdf         the same page on A4, tagged, with bookmarks and the record attached
controls    what an assessment says to controls of laws, standards and guidance
gate_view   an answer of the gate, arranged for the forms that pipelines read
markdown    an answer of the gate for a pull request or the page of a job
junit       the findings as test cases
sarif       the findings as results of a static analysis, for code scanning
gitlab      the open findings as GitLab's Code Quality report
github      the open findings as annotations of GitHub Actions
card_view   an assessment, arranged for the formats of other tools
cyclonedx   a bill of materials with a model card
oscal       assessment results
chai        an applied model card
model_card  a model card as Hugging Face has it
comparison  two versions held against each other, on one page
history     the versions of a registered model, on one page
portfolio   all registered models as a static site
findings    every finding in words: title, sentence, rule, cause, remedy
verdicts    the verdict in a sentence, and what else is open
causes      what the evidence points to where a requirement is not met
metric_texts  the standing texts of each metric, from `metrics.toml`
class_names which class a number is about, and its untrusted name in a sentence
amounts     numbers with their unit, never rounded onto or across their bound
decision_page  part A of a report: verdict, three numbers, open findings, risks, people
tiles       the three headline numbers of part A
approvals   who answers for a version
finding_cards  part B: a card for every open finding, and all requirements at a glance
scope       part C: what was judged, for what, and what was not
scales      where a value, its interval and its bound stand on a line
results     part D: how often the model is right
turned_images  images whose answer changed since the baseline, for part D
reasons     part E: how the model comes to its answers, with the sign of risk of each analysis
answers     what each analysis says in a sentence, and the chart that shows it
charts      the figures of parts D and E in SVG
table_rows  the tables of a record, row by row
annex       every measure, method and table, once each
tagging     what PDF/UA asks of a tagged file and WeasyPrint leaves out
view        an assessment in the order in which a reader asks
gaps        what an assessment says nothing about
grid        the part of a table that fits on a page
prose       docstrings as headings and paragraphs; text that hides nothing
```

Nothing here measures or judges: a report arranges what the assessment holds. All text of an
assessment (class names, captions, rationales, descriptions) is untrusted and escaped where it is
printed.
"""
