"""What knows Airflow: components, API, notices, links and pages."""
