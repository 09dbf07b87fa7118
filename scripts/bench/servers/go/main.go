// The benchmark's servers in Go: `go_server http|hello|echo`.
//
// The standard library alone, as its documentation has it. Pinned to one core,
// the runtime takes that for all there is.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("Usage: go_server http|hello|echo")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	switch service := os.Args[1]; service {
	case "http":
		log.Fatal(serveHTTP(listener, routes()))
	case "hello":
		log.Fatal(serveHTTP(listener, hello))
	case "echo":
		log.Fatal(serveEcho(listener))
	default:
		log.Fatalf("Cannot serve %q: there are http, hello and echo", service)
	}
}
