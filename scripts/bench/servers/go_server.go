// The benchmark's servers in Go: `go_server http|hello|echo`.
//
// The standard library alone, as its documentation has it. Pinned to one core,
// the runtime takes that for all there is.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	// net/http has no idle timeout unless it is given one, and none here.
	switch service := os.Args[1]; service {
	case "http":
		log.Fatal(http.Serve(listener, routes()))
	case "hello":
		log.Fatal(http.Serve(listener, hello))
	case "echo":
		log.Fatal(serveEcho(listener))
	default:
		log.Fatalf("Cannot serve %q: there are http, hello and echo", service)
	}
}

// One goroutine a connection, and the copy of the net package's own example: on
// Linux that is splice(2), so that bytes stay in the kernel.
func serveEcho(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, conn)
		}()
	}
}

const (
	bigBytes      = 1_048_576
	bigPeriod     = 251
	eventInterval = 100 * time.Millisecond
)

// What GET /app answers, in this order.
type appAnswer struct {
	Path     string `json:"path"`
	User     string `json:"user"`
	Sort     string `json:"sort"`
	Language string `json:"language"`
	Agent    string `json:"agent"`
}

type order struct {
	Items []struct {
		ID int `json:"id"`
	} `json:"items"`
}

type orderAnswer struct {
	Count int `json:"count"`
	Total int `json:"total"`
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", hello)
	mux.HandleFunc("GET /app", app)
	mux.HandleFunc("POST /json", takeOrder)
	mux.HandleFunc("POST /echo", echoBody)
	mux.HandleFunc("GET /big", big())
	mux.HandleFunc("GET /events", events)
	return mux
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	io.WriteString(w, "Hello, World!")
})

func app(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	user := query.Get("user")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Request-Id", user)
	sendJSON(w, appAnswer{
		Path:     r.URL.Path,
		User:     user,
		Sort:     query.Get("sort"),
		Language: r.Header.Get("Accept-Language"),
		Agent:    r.Header.Get("User-Agent"),
	})
}

func takeOrder(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The client has gone.
	}
	var taken order
	if err := json.Unmarshal(body, &taken); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := orderAnswer{Count: len(taken.Items)}
	for _, item := range taken.Items {
		answer.Total += item.ID
	}
	sendJSON(w, answer)
}

func sendJSON(w http.ResponseWriter, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}

func echoBody(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The client has gone.
	}
	sendBytes(w, body)
}

func big() http.HandlerFunc {
	body := make([]byte, bigBytes)
	for index := range body {
		body[index] = byte(index % bigPeriod)
	}
	return func(w http.ResponseWriter, _ *http.Request) { sendBytes(w, body) }
}

func sendBytes(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	// Without it, what is larger than a buffer is chunked.
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// A ticker for each client, as programs in Go have it.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := w.(http.Flusher)
	flusher.Flush()
	ticker := time.NewTicker(eventInterval)
	defer ticker.Stop()
	for count := 0; ; count++ {
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
			fmt.Fprintf(w, "data: %d\n\n", count)
			flusher.Flush()
		}
	}
}
