package example;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.crypto.factory.PasswordEncoderFactories;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.config.annotation.web.configuration.OAuth2AuthorizationServerConfiguration;
import org.springframework.security.oauth2.server.authorization.settings.AuthorizationServerSettings;
import org.springframework.security.oauth2.server.authorization.settings.ClientSettings;
import org.springframework.security.oauth2.server.authorization.settings.OAuth2TokenFormat;
import org.springframework.security.oauth2.server.authorization.settings.TokenSettings;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;

/** An authorization server with a client that gets opaque tokens, one that gets JWTs, and a gateway that asks about both. */
@SpringBootApplication
public class Server {
  public static void main(String[] arguments) {
    SpringApplication.run(Server.class, arguments);
  }

  @Bean
  SecurityFilterChain endpoints(HttpSecurity http) throws Exception {
    return http
        .oauth2AuthorizationServer(server -> server.oidc(Customizer.withDefaults()))
        .authorizeHttpRequests(requests -> requests.requestMatchers("/rotate").permitAll().anyRequest().authenticated())
        .csrf(csrf -> csrf.ignoringRequestMatchers("/rotate"))
        .formLogin(Customizer.withDefaults())
        .build();
  }

  @Bean
  AuthorizationServerSettings settings() {
    return AuthorizationServerSettings.builder().issuer("https://spring.example").build();
  }

  @Bean
  RegisteredClientRepository clients(@Value("${gateway.jwks-uri:https://gateway.example/jwks}") String keysOfGateway) {
    // Hashed as the framework does it unless it is told otherwise: what that costs is part of an introspection.
    String hash = PasswordEncoderFactories.createDelegatingPasswordEncoder().encode("gw-secret");
    return new InMemoryRegisteredClientRepository(
        client("app", OAuth2TokenFormat.REFERENCE).clientSecret("{noop}app-secret").build(),
        client("app-jwt", OAuth2TokenFormat.SELF_CONTAINED).clientSecret("{noop}app-jwt-secret").build(),
        client("gateway", OAuth2TokenFormat.REFERENCE)
            .clientSecret(hash)
            .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_POST)
            .build(),
        client("gateway-jwt", OAuth2TokenFormat.REFERENCE)
            .clientAuthenticationMethod(ClientAuthenticationMethod.PRIVATE_KEY_JWT)
            .clientSettings(ClientSettings.builder().jwkSetUrl(keysOfGateway)
                .tokenEndpointAuthenticationSigningAlgorithm(SignatureAlgorithm.RS256).build())
            .build());
  }

  private static RegisteredClient.Builder client(String id, OAuth2TokenFormat format) {
    return RegisteredClient.withId(UUID.randomUUID().toString())
        .clientId(id)
        .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_BASIC)
        .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
        .authorizationGrantType(AuthorizationGrantType.AUTHORIZATION_CODE)
        .authorizationGrantType(AuthorizationGrantType.REFRESH_TOKEN)
        .redirectUri("https://app.example/cb")
        .scope("openid")
        .scope("read")
        .clientSettings(ClientSettings.builder().requireProofKey(false).requireAuthorizationConsent(false).build())
        .tokenSettings(TokenSettings.builder().accessTokenFormat(format).build());
  }

  /** All are published; the first signs. */
  private final List<JWK> keys = new CopyOnWriteArrayList<>();

  /** From now on another key signs. */
  void rotate() throws JOSEException {
    keys.add(0, new RSAKeyGenerator(2048).keyIDFromThumbprint(true).generate());
  }

  @Bean
  JWKSource<SecurityContext> keySource() throws JOSEException {
    rotate();
    return (selector, context) -> selector.select(new JWKSet(keys));
  }

  @Bean
  OAuth2TokenCustomizer<JwtEncodingContext> signer() {
    return context -> context.getJwsHeader().keyId(keys.get(0).getKeyID());
  }

  @RestController
  static class Rotation {
    private final Server server;

    Rotation(Server server) {
      this.server = server;
    }

    @PostMapping("/rotate")
    void rotate() throws JOSEException {
      server.rotate();
    }
  }

  @Bean
  JwtDecoder decoder(JWKSource<SecurityContext> keys) {
    return OAuth2AuthorizationServerConfiguration.jwtDecoder(keys);
  }

  @Bean
  UserDetailsService users() {
    return new InMemoryUserDetailsManager(User.withUsername("alice").password("{noop}alice").roles("USER").build());
  }
}
