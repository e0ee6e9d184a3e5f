"""What a person and an agent do one after the other: record, review, study. Thin, over the parts below."""
