// Command hello is the service of the node test: it says that it listens, and greets.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
)

// eat takes memory until the kernel ends that.
func eat() {
	for kept := [][]byte{}; ; {
		piece := make([]byte, 1<<20)
		for i := 0; i < len(piece); i += 4096 {
			piece[i] = 1
		}
		kept = append(kept, piece)
	}
}

func main() {
	if len(os.Args) > 1 {
		eat()
	}
	http.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	http.HandleFunc("/eat", func(http.ResponseWriter, *http.Request) { eat() })
	http.HandleFunc("/eat-in-child", func(http.ResponseWriter, *http.Request) {
		fmt.Println("child:", exec.Command("/proc/self/exe", "eat").Run())
	})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello from", os.Getenv("RUNWAY_REPLICA"))
	})
	fmt.Println("listening on", os.Getenv("PORT"))
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
