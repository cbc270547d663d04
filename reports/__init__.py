"""Reports: an assessment printed for people and for pipelines, one reporter a file.

```
html.to_html(assessment) -> str           one self-contained page for the screen
pdf.to_pdf(assessment) -> bytes           the same page on A4, tagged, with contents and bookmarks
markdown.to_markdown(assessment) -> str   a summary for a pull request or a registry page
junit.to_junit(assessment) -> str         the findings as test cases
```

Nothing here measures or judges: a report arranges what the assessment holds. All text of an
assessment (class names, captions, rationales, descriptions) is untrusted and escaped where it is
printed.
"""
