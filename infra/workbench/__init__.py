"""What a person does with codecs and clips."""
