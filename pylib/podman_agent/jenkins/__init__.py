"""What Jenkins is given: pod templates, Configuration as Code, Jenkinsfile stanzas."""
