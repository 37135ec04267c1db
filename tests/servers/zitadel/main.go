// A server made of zitadel/oidc and the in-memory storage of its example, with the clients of `make servers`:
// `server PORT JWK`, where the JWK is the public key of the client `gateway`. `POST /rotate` is ours: from then on another key
// signs, and the one before is still published.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"log"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// server is the example's storage, but for what the library leaves to whoever uses it: keys that change, a client with JWTs,
// and a gateway that may ask about the tokens of others.
type server struct {
	*storage.Storage
	gateway jose.JSONWebKey
	lock    sync.Mutex
	keys    []key
}

type key struct {
	id      string
	private *rsa.PrivateKey
}

func (k key) ID() string                                  { return k.id }
func (k key) Key() any                                    { return k.private }
func (k key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

type published struct{ key }

func (k published) Key() any                           { return k.private.Public() }
func (k published) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k published) Use() string                        { return "sig" }

func (s *server) rotate() {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.keys = append([]key{{uuid.NewString(), private}}, s.keys...)
}

func (s *server) SigningKey(context.Context) (op.SigningKey, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.keys[0], nil
}

func (s *server) KeySet(context.Context) (set []op.Key, err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, key := range s.keys {
		set = append(set, published{key})
	}
	return set, nil
}

func (s *server) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return &s.gateway, nil
}

func (s *server) SetIntrospectionFromToken(
	ctx context.Context, reply *oidc.IntrospectionResponse, token, subject, client string,
) error {
	for _, app := range []string{"app", "app-jwt"} {
		if client == "gateway" && s.Storage.SetIntrospectionFromToken(ctx, reply, token, subject, app) == nil {
			return nil
		}
	}
	return s.Storage.SetIntrospectionFromToken(ctx, reply, token, subject, client)
}

func (s *server) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := s.Storage.GetClientByClientID(ctx, id)
	if id == "app-jwt" && err == nil {
		client = ofJWTs{client}
	}
	return client, err
}

type ofJWTs struct{ op.Client }

func (ofJWTs) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

func main() {
	address := "127.0.0.1:" + os.Args[1]
	users := storage.NewUserStore("https://zitadel.example/")
	storage.RegisterClients(
		storage.WebClient("app", "app-secret", "https://app.example/cb"),
		storage.WebClient("app-jwt", "app-jwt-secret", "https://app.example/cb"),
		storage.WebClient("gateway", "gw-secret", "https://gateway.example/cb"),
	)
	server := &server{Storage: storage.NewStorage(users)}
	if err := json.Unmarshal([]byte(os.Args[2]), &server.gateway); err != nil {
		log.Fatal(err)
	}
	server.rotate()
	quiet := slog.New(slog.DiscardHandler)
	router := exampleop.SetupServer("https://zitadel.example/", server, quiet, false)
	router.Post("/rotate", func(http.ResponseWriter, *http.Request) { server.rotate() })
	log.Fatal(http.ListenAndServe(address, router))
}
