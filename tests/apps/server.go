// SPDX-License-Identifier: LGPL-2.1-or-later

// A Go program as anybody would write it: it listens on a port, and has heard of nothing.
package main

import (
	"fmt"
	"log"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"
)

var count int64

func answer(w http.ResponseWriter, r *http.Request) {
	w.Write([]byte("v"))
	if r.URL.Path == "/slow" {
		w.(http.Flusher).Flush()
		time.Sleep(time.Second)
	}
	fmt.Fprintf(w, "ersion=%s\ncount=%d\n", runtime.Version(), atomic.AddInt64(&count, 1))
}

func main() {
	http.HandleFunc("/", answer)
	log.Fatal(http.ListenAndServe(":8080", nil))
}
