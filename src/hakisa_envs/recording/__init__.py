"""What a person plays, kept: events, what they say as actions, and an env that plays a recording back."""
