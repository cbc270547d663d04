"""What is kept, as plain data: frozen records, their JSON, and the judgement of them.

```
version_ref    which registered version is meant, everywhere by the same record
evidence       metrics, figures and tables that an analysis leaves
identity       which model was assessed, and on which images
numbers        numbers as text, never rounded to a value that they do not have
severities     what it does to the verdict that an expectation is not met
policy         what a model is put through and what is expected of it
model_terms    what a policy says about the model's files and inputs
resizing       what a policy says of the way to the model's size
reading        what a policy says of how an image file becomes a picture
card           statements of a model's owner: purpose, users, owner, risk tier
policy_lines   the line of a policy file on which each of its expectations stands
policy_text    a policy file written by a program, in which every line says why
reproduction   a measurement made again, held against the one on record
decision       evidence held against a policy: findings and a verdict
assessment     one assessment and its folder of files
bundle_files   many files as one, the same bytes for the same files
zip_files      archives whose list of members is measured first
record_files   pictures and rows put back into a record
bare_records   an assessment from the bytes of its record alone
manifest       the files of an assessment by their sha256
parquet_footer what a Parquet file promises, read before the file is
table_files    the rows of a table as Parquet and as CSV
waiver         a named person's permission for one version to miss one expectation
turned         images whose answer differs between two versions
portfolio      all registered models at a glance, and what a person has to decide
lineage        the versions that one version is compared with
image_terms    what a policy says about reading its validation images
drift_terms    what a policy says about drift
consistency    whether an assessment follows from itself
bounded        files, JSON and TOML measured before anything is made of them
decoding       plain data of JSON and TOML as typed values, with all problems at once
wording        names in a sentence, and why a metric is missing
topics         what a reader may think was assessed, for the list of what was not
toml_reader    reading TOML with all problems at once
configuration  governance.toml: what its readers share, and the table of each
serialisation  records as canonical JSON and back
```
"""
