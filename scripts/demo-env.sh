# Where the demo keeps its cluster; sourced by demo.sh and demo-stop.sh.
demo_dir=${RUNWAY_DEMO_DIR:-/var/lib/runway-demo}
