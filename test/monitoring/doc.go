// Package monitoring tests what manifests/monitoring gives to Prometheus and Grafana: a
// real Prometheus scrapes the real programs under load, and each expression of the
// alerts and the dashboard must return data.
package monitoring
